# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.rewards.inequalities import interval_of
from grpo_jax.rewards.math_notation import normalise


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        (r"x \leq 3", r"(-\infty, 3]"),
        ("x<3", r"(-\infty, 3)"),
        (r"t \ge -\frac{1}{2}", r"[-\frac{1}{2}, \infty)"),
        ("3 < x", r"(3, \infty)"),
        (r"3 \geq \theta", r"(-\infty, 3]"),
        ("2 < x < 5", "(2, 5)"),
        (r"-1 \le x < \sqrt{2}", r"[-1, \sqrt{2})"),
        (r"\{x \mid x > 2\}", r"(2, \infty)"),
        (r"\{ x : 0 \leq x \leq 1 \}", "[0, 1]"),
        (r"\mathbb{R}", r"(-\infty,\infty)"),
    ],
)
def test_inequalities_in_one_letter_are_intervals(text: str, interval: str):
    assert interval_of(normalise(text)) == interval


@pytest.mark.parametrize(
    "text",
    ["", "3", "x", "x = 3", "2 < 3", "x < y < z < 1", "1 > x > 0", "x < 1 or x > 2", "x < 1, x > 0", "xy < 3", "<"],
)
def test_other_text_is_no_interval(text: str):
    assert interval_of(normalise(text)) is None
