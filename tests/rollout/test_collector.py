# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Prompts in, scored groups out: order, settings by domain, and what reaches the checkers."""

import threading

import numpy as np
import pytest

from grpo_jax.config import Domain, RewardPhase, RewardsConfig, RunConfig, SamplingConfig
from grpo_jax.records import RewardStatus
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.sampling.engine import Sample
from tests.fakes.byte_tokenizer import STOP_ID, ByteTokenizer
from tests.fakes.groups import make_completion, make_prompt
from tests.fakes.scripted_reward import reward_name

CONFIG = RunConfig(
    seed=5,
    domains={
        "plain": Domain(rewards={reward_name("share_of_plain"): 1.0}),
        "strange": Domain(
            rewards={reward_name("share_of_strange"): 2.0, reward_name("length"): 0.5},
            temperature=0.5,
            max_completion_tokens=3,
            top_p=1.0,
            top_k=0,
            stop=("b",),
            stop_token_ids=(98,),
        ),
        "broken": Domain(rewards={reward_name("broken_checker"): 1.0}),
    },
    sampling=SamplingConfig(
        temperature=0.9, max_completion_tokens=9, top_p=0.8, top_k=7, min_p=0.1, stop=("END",), stop_token_ids=(99,)
    ),
    rewards=RewardsConfig(workers=1),
)
PHASES = (RewardPhase(), RewardPhase(parts={reward_name("length"): 2.0}, from_progress=0.5))

COMPLETIONS = {
    (0, 0): [97, 98, STOP_ID],
    (0, 1): [97, 0xC3, 0xA9],  # an e with an acute: one character of two bytes
    (1, 0): [0xC3, 0xA9, 98],
    (1, 1): [98],
    (2, 0): [97],
    (2, 1): [98],
}


class PreparedEngine:
    """Yields prepared completions, the last prompt's first, and keeps what it was asked for."""

    def sample(self, weights, requests, num_samples, *, seed, step, policy_version):
        self.asked = (weights, requests, num_samples, seed, step)
        self.policy_version = policy_version
        for request, sample in sorted(COMPLETIONS, reverse=True):
            yield Sample(request, sample, make_completion(COMPLETIONS[request, sample]))


@pytest.fixture(scope="module")
def pool():
    with RewardPool(CONFIG.domains, CONFIG.rewards, PHASES) as pool:
        yield pool


@pytest.fixture
def engine():
    return PreparedEngine()


@pytest.fixture
def collected(engine, pool):
    prompts = [make_prompt([1, n], f"problem-{n}", domain) for n, domain in enumerate(CONFIG.domains)]
    collector = RolloutCollector(CONFIG, engine, pool, ByteTokenizer())
    return collector.collect({"weights": 1}, prompts, num_samples=2, step=4, policy_version=11)


def test_groups_come_in_the_order_of_prompts_and_samples(collected):
    assert [group.prompt.problem.id for group in collected.groups] == ["problem-0", "problem-1", "problem-2"]
    found = {
        (g, m): rollout.completion.token_ids.tolist()
        for g, group in enumerate(collected.groups)
        for m, rollout in enumerate(group.rollouts)
    }
    assert found == COMPLETIONS
    assert collected.sampled_tokens == 12
    assert {rollout.policy_version for group in collected.groups for rollout in group.rollouts} == {11}


def test_rewards_are_those_of_the_decoded_text(collected):
    plain, strange, _ = collected.groups
    assert [rollout.text for rollout in plain.rollouts] == ["ab", "aé"]
    assert [rollout.reward.total for rollout in plain.rollouts] == [1.0, 0.5]
    assert [rollout.text for rollout in strange.rollouts] == ["é", ""]  # up to the domain's stop string
    assert [rollout.reward.total for rollout in strange.rollouts] == [2 * 1.0 + 0.5 * 1, 0.0]
    assert strange.rollouts[1].reward.status == RewardStatus.FAIL


def test_a_checker_that_raises_makes_the_reward_invalid(collected):
    reward = collected.groups[2].rollouts[0].reward
    assert reward.status == RewardStatus.INVALID
    assert reward.total is None
    assert "the checker's own file is missing" in reward.reason


def test_requests_carry_the_domains_settings_and_the_problems_noise(collected, engine):
    weights, requests, num_samples, seed, step = engine.asked
    assert engine.policy_version == 11
    assert (weights, num_samples, seed, step) == ({"weights": 1}, 2, 5, 4)
    assert [request.noise_id for request in requests] == ["problem-0", "problem-1", "problem-2"]
    assert [request.temperature for request in requests] == [0.9, 0.5, 0.9]
    assert [request.max_tokens for request in requests] == [9, 3, 9]
    cuts = [(request.top_p, request.top_k, request.min_p) for request in requests]
    assert cuts == [(0.8, 7, 0.1), (1.0, 0, 0.1), (0.8, 7, 0.1)]
    assert [request.stop_strings for request in requests] == [("END",), ("b",), ("END",)]
    assert [request.stop_ids for request in requests] == [(99,), (98,), (99,)]
    np.testing.assert_array_equal(requests[1].token_ids, [1, 1])


def test_a_given_temperature_takes_the_place_of_every_domains(engine, pool):
    prompts = [make_prompt([1], f"problem-{n}", domain) for n, domain in enumerate(CONFIG.domains)]
    collector = RolloutCollector(CONFIG, engine, pool, ByteTokenizer())
    collector.collect({}, prompts, num_samples=2, step=4, policy_version=0, temperature=0.0)
    requests = engine.asked[1]
    assert [request.temperature for request in requests] == [0.0] * 3
    assert not any(request.has_cuts for request in requests)


def test_the_phase_decides_which_rewards_count(engine, pool):
    prompts = [make_prompt([1], f"problem-{n}", domain) for n, domain in enumerate(CONFIG.domains)]
    collector = RolloutCollector(CONFIG, engine, pool, ByteTokenizer())
    strange = collector.collect({}, prompts, num_samples=2, step=4, policy_version=0, phase=1).groups[1]
    assert [rollout.reward.parts for rollout in strange.rollouts] == [
        {reward_name("length"): 1.0},
        {reward_name("length"): 0.0},
    ]
    assert [rollout.reward.total for rollout in strange.rollouts] == [2 * 0.5 * 1, 0.0]


def test_a_sampler_that_fails_leaves_nothing_to_score(pool):
    class FailingEngine(PreparedEngine):
        def sample(self, *arguments, **settings):
            yield from [*super().sample(*arguments, **settings)][:4]
            raise RuntimeError("the device is gone")

    prompts = [make_prompt([1], f"problem-{n}", domain) for n, domain in enumerate(CONFIG.domains)]
    collector = RolloutCollector(CONFIG, FailingEngine(), pool, ByteTokenizer())
    with pytest.raises(RuntimeError, match="the device is gone"):
        collector.collect({}, prompts, num_samples=2, step=4, policy_version=0)
    assert not pool._open


def test_sampling_goes_on_while_texts_are_decoded(pool):
    sampled = threading.Event()

    class SlowTokenizer(ByteTokenizer):
        def decode(self, token_ids):
            assert sampled.wait(timeout=60), "sampling waited for the text"
            return super().decode(token_ids)

    class WatchedEngine(PreparedEngine):
        def sample(self, *arguments, **settings):
            yield from super().sample(*arguments, **settings)
            sampled.set()

    prompts = [make_prompt([1], f"problem-{n}", domain) for n, domain in enumerate(CONFIG.domains)]
    collector = RolloutCollector(CONFIG, WatchedEngine(), pool, SlowTokenizer())
    collected = collector.collect({}, prompts, num_samples=2, step=4, policy_version=0)
    assert [rollout.text for rollout in collected.groups[0].rollouts] == ["ab", "aé"]


def test_a_text_that_cannot_be_queued_fails_the_step_and_leaves_nothing_to_score(pool):
    class FailingTokenizer(ByteTokenizer):
        def decode(self, token_ids):
            if list(token_ids) == COMPLETIONS[0, 1]:
                raise RuntimeError("no such id")
            return super().decode(token_ids)

    prompts = [make_prompt([1], f"problem-{n}", domain) for n, domain in enumerate(CONFIG.domains)]
    collector = RolloutCollector(CONFIG, PreparedEngine(), pool, FailingTokenizer())
    with pytest.raises(RuntimeError, match="no such id"):
        collector.collect({}, prompts, num_samples=2, step=4, policy_version=0)
    assert not pool._open
