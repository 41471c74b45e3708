# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.records import Problem
from grpo_jax.rewards.behaviour.answer_format import answer_format, boxed_format

PROBLEM = Problem("p", "math", (), "5")


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        ("<answer>5</answer>", 1.0),
        ("thinking\n<answer> 5 </answer>\n ", 1.0),
        ("<answer>5</answer> is it", 0.5),
        ("<answer>5</answer>.", 0.5),
        ("<answer></answer>", 0.0),
        ("<answer> \n</answer>", 0.0),
        ("<answer>5", 0.0),
        ("5</answer>", 0.0),
        ("</answer>5<answer>", 0.0),
        ("<answer>4</answer><answer>5</answer>", 0.0),
        ("<answer><answer>5</answer>", 0.0),
        ("<Answer>5</Answer>", 0.0),
        ("", 0.0),
    ],
)
def test_answer_tags_earn_by_their_use(completion: str, value: float):
    part = answer_format(PROBLEM, completion)
    assert part.value == value
    assert part.status is None


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        (r"so \boxed{5}", 1.0),
        (r"so \boxed{\frac{1}{2}} it is", 1.0),
        (r"\boxed{4} \boxed{5}", 0.0),
        (r"\boxed{5", 0.0),
        (r"\boxed{5} \boxed{", 0.0),
        (r"\boxed{ }", 0.0),
        ("5", 0.0),
    ],
)
def test_exactly_one_closed_box_earns(completion: str, value: float):
    assert boxed_format(PROBLEM, completion).value == value
