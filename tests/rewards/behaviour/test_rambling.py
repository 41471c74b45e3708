# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.records import Problem
from grpo_jax.rewards.behaviour.rambling import MARKERS, length_and_rambling

PROBLEM = Problem("p", "math", (), "5")


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        ("x" * 80, 0.0),
        ("x" * 120, -2.0),  # 40 characters too many: -4 x 40/80
        ("x" * 240, -8.0),
        ("<answer>5</answer>", 0.0),
        ("<answer>5</answer> \n", 0.0),
        ("<answer>5</answer>.", -2.5),
        ("<answer>5</answer> <answer>6</answer>", -2.5),
        ("However, let us see", -1.0),
        ("however however", -0.5),
        ("<answer>not possible</answer> however", -3.5),
        ("", 0.0),
    ],
)
def test_length_trailing_text_and_rambling_add_up(completion: str, value: float):
    assert length_and_rambling(PROBLEM, completion).value == pytest.approx(value)


def test_each_default_marker_costs_once():
    text = " ".join(MARKERS * 2)
    assert length_and_rambling(PROBLEM, text, free_characters=1000).value == -0.5 * len(MARKERS)


def test_rambling_settings_replace_the_defaults():
    settings = {"free_characters": 10, "excess_value": -1.0, "after_tag": "[/a]", "markers": ("well",)}
    assert length_and_rambling(PROBLEM, "well [/a] 5678.", **settings).value == pytest.approx(-0.5 - 2.5 - 0.5)
