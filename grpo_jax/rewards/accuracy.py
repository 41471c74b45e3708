# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `accuracy` reward: 1 for a right answer and 0 otherwise, whatever kind of answer the problem has.

`ground_truth.kind_of` says the kind; code and plans have rewards of their own.
"""

from grpo_jax.config import RewardsConfig
from grpo_jax.records import PartScore, Problem, RewardFunction
from grpo_jax.rewards import math_answer
from grpo_jax.rewards.calls.function_calls import function_calls
from grpo_jax.rewards.choice_answer import choice
from grpo_jax.rewards.ground_truth import Kind, kind_of
from grpo_jax.rewards.math_answer import math_reward
from grpo_jax.rewards.text_answer import exact_match
from grpo_jax.rewards.yes_no_answer import yes_no

_CHECKS: dict[Kind, RewardFunction] = {
    "math": math_reward,
    "choice": choice,
    "yes_no": yes_no,
    "text": exact_match,
    "calls": function_calls,
}


def accuracy(problem: Problem, completion: str) -> PartScore:
    """Judge the answer by the check of its kind.

    Raises:
        ValueError: The ground truth is of no kind that `ground_truth.kind_of` knows.
    """
    part = _CHECKS[kind_of(problem)](problem, completion)
    assert isinstance(part, PartScore)
    return PartScore(float(part.value == 1.0), part.status, part.answer)


def warm_up(settings: RewardsConfig) -> None:
    """Pay for the imports of the math check before the first sample is timed."""
    math_answer.warm_up(settings)
