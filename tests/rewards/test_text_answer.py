# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import itertools
import json
from pathlib import Path

import pytest

from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rewards.text_answer import exact_match, text_f1, token_f1

PROBLEM = Problem("p", "qa", (), ["Barack Obama", "the Obamas"])


@pytest.mark.parametrize(
    "answer",
    ["Barack Obama", "barack obama.", " The  Barack Obama ", "**Barack Obama**", "Obamas", r"\text{Barack Obama}"],
)
def test_case_punctuation_and_articles_do_not_count(answer: str):
    assert exact_match(PROBLEM, f"<answer>{answer}</answer>").status is RewardStatus.PASS
    assert text_f1(PROBLEM, rf"\boxed{{{answer}}}").value == 1.0


@pytest.mark.parametrize(
    ("gold", "answer", "f1"),
    [
        ("Barack Obama", "Obama", 2 / 3),
        ("Barack Obama", "Obama Barack", 1.0),
        ("Barack Obama", "Barack Hussein Obama", 0.8),
        ("14 December 1972", "December 1972", 0.8),
        ("to be or to be", "to be", 4 / 7),  # bags: 2 in common, 5 and 2 words
        ("The", "the", 1.0),
        ("Paris", "London", 0.0),
        ("Paris", "", 0.0),
        ("Zürich", "ZÜRICH", 1.0),
        ("1914–1918", "1914-1918", 1.0),
    ],
)
def test_f1_is_over_bags_of_words(gold: str, answer: str, f1: float):
    assert token_f1(gold, answer) == pytest.approx(f1)
    assert token_f1(answer, gold) == pytest.approx(f1)


def test_the_best_of_several_golds_counts():
    part = text_f1(PROBLEM, "<answer>Obama family</answer>", value=2.0)
    assert (part.value, part.status) == (2 * 0.5, RewardStatus.FAIL)
    assert text_f1(PROBLEM, "<answer>obamas</answer>").status is RewardStatus.PASS
    assert text_f1(PROBLEM, "<answer>Obama Barack</answer>").status is RewardStatus.FAIL


def test_near_matches_earn_on_request_and_never_pass():
    slip = "<answer>Barrack Obama</answer>"
    assert exact_match(PROBLEM, slip).value == 0.0
    part = exact_match(PROBLEM, slip, near_value=0.5)
    assert (part.value, part.status) == (0.5, RewardStatus.FAIL)
    assert exact_match(PROBLEM, slip, near_value=0.5, near_similarity=0.99).value == 0.0
    assert exact_match(PROBLEM, "<answer>Angela Merkel</answer>", near_value=0.5).value == 0.0
    assert exact_match(PROBLEM, f"<answer>{'Barack Obama ' * 20}</answer>", near_value=0.5).value == 0.0


@pytest.mark.parametrize("reward", [exact_match, text_f1])
def test_a_completion_without_marks_counts_on_request(reward):
    assert reward(PROBLEM, "Barack Obama").status is RewardStatus.NO_ANSWER
    assert reward(PROBLEM, "<think>Hm</think> Barack Obama\n", whole_completion=True).status is RewardStatus.PASS
    assert reward(PROBLEM, "", whole_completion=True).status is RewardStatus.NO_ANSWER
    assert reward(PROBLEM, f"<answer>{'x ' * 2000}</answer>").status is RewardStatus.UNPARSABLE


@pytest.mark.parametrize("gold", [None, [], "", {"a": 1}])
def test_a_problem_without_an_answer_is_the_checkers_failure(gold: object):
    with pytest.raises(ValueError, match="ground_truth"):
        exact_match(Problem("p", "qa", (), gold), "<answer>x</answer>")


def test_every_public_gold_passes_and_other_rows_golds_do_not(shared_data: Path):
    lines = (shared_data / "nq_open" / "NQ-open.dev.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line)["answer"] for line in lines]
    wrong = 0
    for golds, others in itertools.pairwise(rows):
        problem = Problem("p", "qa", (), golds)
        for gold in golds:
            assert exact_match(problem, f"The question is old.\n<answer>{gold.upper()}</answer>").value == 1.0, gold
            assert text_f1(problem, f"<answer>{gold}</answer>").value == 1.0, gold
        wrong += exact_match(problem, f"<answer>{others[0]}</answer>").value == 1.0
    assert wrong <= 5  # neighbouring questions that do have the same answer
