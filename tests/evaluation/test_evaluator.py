# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Held-out figures by hand, with a collector that gives out prepared completions."""

from dataclasses import replace

import pytest

from grpo_jax.config import DataConfig, Domain, EvaluationConfig, RunConfig, SamplingConfig
from grpo_jax.evaluation.evaluator import NOISE_STEP, Evaluator, evaluate
from grpo_jax.records import ConfigError, RewardStatus, Rollout, RolloutGroup
from grpo_jax.rollout.collector import Collected
from tests.fakes.byte_tokenizer import STOP_ID
from tests.fakes.groups import make_completion, make_prompt, make_reward

SHORT, LONG = [65, STOP_ID], [65, 66, 67, 68]

CONFIG = RunConfig(
    domains={"plain": Domain(), "strange": Domain()},
    data=DataConfig(prompts_per_step=2),
    sampling=SamplingConfig(group_size=2),
    evaluation=EvaluationConfig(every_steps=1, samples_per_problem=2, temperature=0.5),
)


class PreparedCollector:
    """Gives every prompt the rewards and completions that were prepared for its problem."""

    def __init__(self, prepared):
        self.prepared, self.calls = prepared, []

    def collect(self, weights, prompts, **arguments):
        self.calls.append((len(prompts), arguments))
        groups = [
            RolloutGroup(
                prompt,
                tuple(Rollout(make_completion(ids), "", reward, 0) for ids, reward in self.prepared[prompt.problem.id]),
            )
            for prompt in prompts
        ]
        return Collected(tuple(groups), 0, 0.0, 0.0)


def prompts_of(prepared):
    """Problems named DOMAIN-NUMBER, by domain."""
    found = {}
    for problem_id in prepared:
        domain = problem_id.split("-")[0]
        found.setdefault(domain, []).append(make_prompt([1], problem_id, domain))
    return found


def run(prepared, config=CONFIG):
    collector = PreparedCollector(prepared)
    return Evaluator(config, collector, prompts_of(prepared)).run({}, policy_version=7), collector


def test_each_domain_has_the_figures_of_its_own_problems():
    evaluation, _ = run(
        {
            "plain-0": [(SHORT, make_reward(1.0)), (LONG, make_reward(0.0))],
            "plain-1": [(SHORT, make_reward(1.0)), (SHORT, make_reward(0.5, RewardStatus.FAIL))],
            "strange-0": [(LONG, make_reward(0.0)), (LONG, make_reward(0.0, RewardStatus.TIMEOUT))],
        }
    )
    figures = evaluation.figures
    assert figures["eval/plain/pass@1"] == 2 / 4
    assert figures["eval/plain/pass@2"] == 1.0
    assert figures["eval/plain/reward"] == 2.5 / 4
    assert figures["eval/plain/length"] == (2 + 4 + 2 + 2) / 4
    assert figures["eval/strange/pass@1"] == 0.0
    assert figures["eval/strange/truncated"] == 1.0
    assert [group.prompt.problem.id for group in evaluation.groups] == ["plain-0", "plain-1", "strange-0"]


def test_as_many_completions_are_sampled_at_once_as_in_a_training_step():
    prepared = {f"plain-{number}": [(SHORT, make_reward(1.0))] * 2 for number in range(5)}
    _, collector = run(prepared)
    assert [count for count, _ in collector.calls] == [2, 2, 1]
    many = replace(CONFIG, evaluation=replace(CONFIG.evaluation, samples_per_problem=100))
    _, collector = run(prepared, many)
    assert [count for count, _ in collector.calls] == [1] * 5


def test_every_evaluation_has_the_same_noise_and_its_own_temperature():
    _, collector = run({"plain-0": [(SHORT, make_reward(1.0))] * 2})
    assert collector.calls[0][1] == {
        "num_samples": 2,
        "step": NOISE_STEP,
        "policy_version": 7,
        "temperature": 0.5,
    }


def test_nothing_to_evaluate_on_is_a_mistake_of_the_config():
    with pytest.raises(ConfigError, match=r"data\.eval_sources is empty"):
        evaluate(CONFIG, None)
