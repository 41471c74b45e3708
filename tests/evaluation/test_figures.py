# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a domain by hand."""

from dataclasses import replace

import pytest

from grpo_jax.config import EvaluationConfig
from grpo_jax.evaluation.figures import domain_figures
from grpo_jax.records import Reward, RewardStatus, Rollout, RolloutEnd, RolloutGroup
from tests.fakes.byte_tokenizer import STOP_ID
from tests.fakes.groups import make_completion, make_prompt

PASS, FAIL, INVALID = RewardStatus.PASS, RewardStatus.FAIL, RewardStatus.INVALID
SHORT, LONG = [65, STOP_ID], [65, 66, 67, 68]


def answered(answer, status, tokens=SHORT):
    total = None if status is INVALID else float(status is PASS)
    parts = {} if status is INVALID else {"judge": total, "style": 0.25}
    reward = Reward(status, total, parts, answer=answer, reason="out of order" if status is INVALID else "")
    return Rollout(make_completion(tokens), "", reward, 0)


def group(*rollouts, truth="42", number=0):
    prompt = make_prompt([1], f"problem-{number}")
    return RolloutGroup(replace(prompt, problem=replace(prompt.problem, ground_truth=truth)), rollouts)


def figures(*groups, **settings):
    found = domain_figures("plain", groups, EvaluationConfig(temperature=1.0, **settings))
    return {name.removeprefix("eval/plain/"): value for name, value in found.items()}


def test_pass_majority_and_nearness():
    first = group(answered("42", PASS), answered("40", FAIL), answered("40", FAIL), answered("7", FAIL))
    second = group(
        answered("42", PASS), answered("84/2", PASS), answered(None, RewardStatus.NO_ANSWER), answered("1", FAIL)
    )
    found = figures(first, second)
    assert found["pass@1"] == pytest.approx((1 / 4 + 2 / 4) / 2)
    assert found["pass@2"] == pytest.approx((3 / 6 + 5 / 6) / 2)
    assert found["pass@4"] == 1.0
    # All four at once: two votes for 40 beat one for 42; two right answers, in two forms, beat one wrong.
    assert found["maj@4"] == pytest.approx((0 + 1) / 2)
    assert "maj@1" not in found
    # 40 lies within 4.2 of 42; 7 and 1 do not.
    assert found["within_10_percent"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert found["format"] == pytest.approx((4 / 4 + 3 / 4) / 2)
    assert found["part/style"] == 0.25
    assert found["pass@1_low"] <= found["pass@1"] <= found["pass@1_high"]


def test_rollouts_whose_function_failed_have_no_length():
    failed = replace(answered(None, INVALID, LONG), end=RolloutEnd.HUNG)
    found = figures(group(answered("42", PASS), answered("1", FAIL, LONG), failed, failed))
    assert found["length"] == 3.0
    assert found["truncated"] == 0.5
    assert found["invalid"] == 0.5


def test_domains_without_short_answers_have_neither_votes_nor_nearness():
    found = figures(group(answered(None, PASS), answered(None, FAIL), truth={"kind": "asserts", "tests": []}))
    assert not {name for name in found if name.startswith(("maj@", "within"))}
    assert found["pass@2"] == 1.0


def test_a_failed_checker_is_not_a_wrong_answer():
    found = figures(
        group(answered("42", PASS), answered(None, INVALID)),
        group(answered("1", FAIL), answered("42", PASS), number=1),
    )
    assert found["pass@1"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["pass@2"] == 1.0  # of the second problem alone: the first has one judged completion
    assert found["invalid"] == 1 / 4


def test_a_domain_whose_checkers_all_failed_has_no_figure():
    with pytest.raises(RuntimeError, match=r"every evaluated completion of plain was invalid.*out of order"):
        figures(group(answered(None, INVALID), answered(None, INVALID)))


def test_lengths_and_truncation_count_every_completion():
    found = figures(group(answered("42", PASS, LONG), answered(None, INVALID, SHORT)))
    assert found["length"] == 3.0
    assert found["truncated"] == 0.5


def test_more_confidence_is_a_wider_interval():
    groups = [group(answered("42", PASS if n % 3 else FAIL), number=n) for n in range(12)]
    narrow, wide = figures(*groups, confidence=0.5), figures(*groups, confidence=0.99)
    assert wide["pass@1_low"] < narrow["pass@1_low"] < narrow["pass@1_high"] < wide["pass@1_high"]


@pytest.mark.parametrize("truth", ["#### 42", r"\boxed{42}", ["41.5", "42"], 42])
def test_right_numbers_are_found_in_every_form_of_ground_truth(truth):
    assert figures(group(answered("38", FAIL), truth=truth))["within_10_percent"] == 1.0
