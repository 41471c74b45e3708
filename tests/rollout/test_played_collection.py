# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A step that mixes single turns with a rollout function: each prompt goes its way, groups come back in order."""

from contextlib import nullcontext

import pytest

from grpo_jax.config import Domain, RewardsConfig, RunConfig, SamplingConfig
from grpo_jax.records import RewardStatus, RolloutEnd
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.rollout.functions import RolloutFunctions
from grpo_jax.rollout.trajectory import Outcome
from grpo_jax.sampling.request import Sample
from tests.fakes.byte_tokenizer import ByteTokenizer
from tests.fakes.groups import make_completion, make_prompt
from tests.fakes.scripted_reward import reward_name
from tests.fakes.scripted_sampler import ScriptedSampler, saying


async def echo(problem, generate):
    turn = await generate(problem.messages)
    turn = await generate([{"role": "user", "content": "b"}], after=turn)
    if problem.id == "problem-3":
        raise ValueError("no such game")
    return Outcome(turn, reward=None if problem.domain == "judged" else 0.5, turn_rewards=[1.0])


CONFIG = RunConfig(
    domains={
        "plain": Domain(rewards={reward_name("share_of_plain"): 1.0}),
        "own": Domain(rewards={}, rollout=echo, reward_scale=2.0),
        "judged": Domain(rewards={reward_name("share_of_plain"): 1.0}, rollout=echo),
    },
    sampling=SamplingConfig(max_completion_tokens=100),
    rewards=RewardsConfig(workers=1),
)


class Engine:
    def sample(self, weights, requests, num_samples, *, seed, step, policy_version):
        for request in range(len(requests)):
            for sample in range(num_samples):
                yield Sample(request, sample, make_completion([97]))

    def open(self, weights, *, room, num_prompts, seed, policy_version):
        assert room.num_samples == 2
        assert num_prompts == 3
        return nullcontext(ScriptedSampler(lambda request, partial: saying("ab" if len(partial.token_ids) else "a")))


@pytest.fixture(scope="module")
def collected():
    domains = ["own", "plain", "judged", "own"]
    prompts = [make_prompt([1, n], f"problem-{n}", domain) for n, domain in enumerate(domains)]
    with RewardPool(CONFIG.domains, CONFIG.rewards) as pool:
        collector = RolloutCollector(CONFIG, Engine(), pool, ByteTokenizer(), RolloutFunctions(CONFIG))  # type: ignore[arg-type]
        return collector.collect({}, prompts, num_samples=2, step=1, policy_version=5)


def test_groups_come_in_the_order_of_prompts_whoever_made_them(collected):
    assert [group.prompt.problem.id for group in collected.groups] == [f"problem-{n}" for n in range(4)]
    assert collected.sampled_tokens == 2 * (5 + 1 + 5)


def test_a_functions_own_reward_and_the_domains_rewards_both_join_what_turns_earned(collected):
    own, plain, judged, _ = collected.groups
    assert [rollout.reward.total for rollout in own.rollouts] == [2 * (0.5 + 1.0)] * 2
    assert [rollout.reward.total for rollout in plain.rollouts] == [1.0] * 2
    assert [rollout.reward.total for rollout in judged.rollouts] == [1.0 + 1.0] * 2
    assert judged.rollouts[0].text == "a\nuser: b\nassistant:ab"


def test_a_failing_function_costs_its_own_group(collected):
    for rollout in collected.groups[3].rollouts:
        assert rollout.end is RolloutEnd.RAISED
        assert rollout.reward.status is RewardStatus.INVALID
        assert "no such game" in rollout.reward.reason
