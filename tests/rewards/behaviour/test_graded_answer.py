# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.records import ConfigError, Problem, RewardStatus
from grpo_jax.rewards.behaviour.graded_answer import answer, numbers

PASS, FAIL = RewardStatus.PASS, RewardStatus.FAIL
UNPARSABLE, NO_ANSWER = RewardStatus.UNPARSABLE, RewardStatus.NO_ANSWER


def problem(gold: object) -> Problem:
    return Problem("p", "math", (), gold)


@pytest.mark.parametrize(
    ("gold", "section", "value", "status"),
    [
        ("72", "72", 3.0, PASS),
        ("72", " 72\n", 1.5, PASS),
        (" 72", "72", 1.5, PASS),
        ("72", "72.0", 0.5, FAIL),
        ("100", "110", 0.5, FAIL),
        ("100", "90", 0.5, FAIL),
        ("100", "110.01", 0.25, FAIL),
        ("100", "120", 0.25, FAIL),
        ("100", "80", 0.25, FAIL),
        ("100", "120.01", -1.0, FAIL),
        ("100", "-100", -1.0, FAIL),
        ("-100", "-95", 0.5, FAIL),
        ("0", "0.0", 0.5, FAIL),
        ("0", "0.1", -1.0, FAIL),
        ("1,000", "1050", 0.5, FAIL),
        ("1/2", "0.55", 0.5, FAIL),
        ("72", "about seventy", -0.5, UNPARSABLE),
        ("Paris", "London", -0.5, FAIL),
        ("Paris", "3", -0.5, FAIL),
        ("Paris", "Paris", 3.0, PASS),
        (["7", "seven"], "seven", 3.0, PASS),
        (["7", "seven"], "7.1", 0.5, FAIL),
        (7, "7", 3.0, PASS),
        ({"label": "B", "choices": {"A": "rain", "B": "fog"}}, "B", 3.0, PASS),
        ({"label": "B", "choices": {"A": "rain", "B": "fog"}}, "A", -0.5, FAIL),
    ],
)
def test_the_answer_section_is_graded(gold: object, section: str, value: float, status: RewardStatus):
    part = answer(problem(gold), f"<reasoning>so</reasoning><answer>{section}</answer>")
    assert (part.value, part.status) == (value, status)


@pytest.mark.parametrize(
    "completion", ["72", "<answer>72", "72</answer>", "<answer> </answer>", "</answer>72<answer>", ""]
)
def test_without_a_closed_section_there_is_no_answer(completion: str):
    part = answer(problem("72"), completion)
    assert (part.value, part.status) == (0.0, NO_ANSWER)
    assert numbers(problem("72"), completion).value == 0.0


def test_the_last_section_that_holds_something_counts():
    assert answer(problem("72"), "<answer>1</answer><answer>72</answer><answer></answer>").value == 3.0
    assert answer(problem("72"), "<answer>1<answer>72</answer>").value == 3.0


def test_values_tolerances_and_tags_can_be_set():
    text = "[a]105[/a]"
    settings = {"tags": ("[a]", "[/a]"), "near": 0.75, "near_tolerance": 0.04, "rough": 0.4, "rough_tolerance": 0.05}
    assert answer(problem("100"), text, **settings).value == 0.4
    assert answer(problem("100"), "[a]104[/a]", **settings).value == 0.75
    assert answer(problem("100"), "[a]106[/a]", wrong=-3.0, **settings).value == -3.0
    with pytest.raises(ConfigError, match="tags"):
        answer(problem("100"), text, tags=("[a]",))


@pytest.mark.parametrize(
    ("gold", "section", "value"),
    [
        ("72", "72", 1.5),
        ("72", "The total is 72 apples, not 3.", 1.5),
        ("72", "3, not 72", 0.0),
        ("72", "72.0", 1.5),
        ("1000", "$1,000", 1.5),
        ("-5", "x = -5", 1.5),
        ("0.5", "1/2", 1.5),
        ("72", "none", 0.0),
        ("Paris", "72", 0.0),
        ("72", "7" * 1000, 0.0),
    ],
)
def test_the_first_number_of_the_section_counts_for_numbers(gold: str, section: str, value: float):
    part = numbers(problem(gold), f"<answer>{section}</answer>")
    assert (part.value, part.status) == (value, None)
