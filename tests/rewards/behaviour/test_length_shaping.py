# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import math
from typing import Any

import numpy as np
import pytest

from grpo_jax.objective.overlong import soft_overlong_penalty
from grpo_jax.records import ConfigError, Problem
from grpo_jax.rewards.behaviour.length_shaping import cosine_length, soft_overlong

PROBLEM = Problem("p", "math", (), "5")


@pytest.mark.parametrize("length", [0, 59, 60, 61, 80, 99, 100, 101, 500])
def test_soft_overlong_is_the_slope_of_the_objective_in_characters(length: int):
    value = soft_overlong(PROBLEM, "x" * length, limit=100, buffer=40, penalty=2.0).value
    assert value == pytest.approx(float(soft_overlong_penalty(np.array([length]), np.array([100]), 40, 2.0)[0]))


def test_lengths_can_be_counted_in_words():
    assert soft_overlong(PROBLEM, "a b c d", limit=4, buffer=2, unit="words").value == -1.0
    assert soft_overlong(PROBLEM, "a b c", limit=4, buffer=2, unit="words").value == -0.5
    with pytest.raises(ConfigError, match="unit"):
        soft_overlong(PROBLEM, "a", unit="tokens")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("settings", [{"buffer": 0}, {"limit": 10, "buffer": 11}])
def test_an_impossible_buffer_is_the_users_mistake(settings: dict[str, Any]):
    with pytest.raises(ConfigError, match="buffer"):
        soft_overlong(PROBLEM, "a", **settings)


def _answered(text: str, length: int) -> str:
    return "x" * (length - len(text)) + text


@pytest.mark.parametrize(
    ("text", "length", "value"),
    [
        (r"\boxed{5}", 100, 1.0),
        (r"\boxed{5}", 50, 1.5),  # the middle between short and long
        (r"\boxed{5}", 25, 1.0 + 0.5 * (1 + math.sqrt(0.5))),
        (r"\boxed{6}", 100, 0.0),
        (r"\boxed{6}", 50, -5.0),
        (r"\boxed{5}", 101, -10.0),
        (r"\boxed{6}", 101, -10.0),
        ("", 0, -10.0),
    ],
)
def test_cosine_length_bends_with_correctness(text: str, length: int, value: float):
    part = cosine_length(PROBLEM, _answered(text, length), limit=100)
    assert part.value == pytest.approx(value)
    assert part.status is None


def test_shorter_right_and_longer_wrong_answers_earn_more():
    right = [cosine_length(PROBLEM, _answered(r"\boxed{5}", length), limit=100).value for length in range(10, 101, 10)]
    wrong = [cosine_length(PROBLEM, _answered(r"\boxed{6}", length), limit=100).value for length in range(10, 101, 10)]
    assert right == sorted(right, reverse=True)
    assert wrong == sorted(wrong)
    with pytest.raises(ConfigError, match="limit"):
        cosine_length(PROBLEM, "a", limit=0)
