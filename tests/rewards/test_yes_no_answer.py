# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rewards.yes_no_answer import yes_no


@pytest.mark.parametrize(
    ("completion", "verdict"),
    [
        ("<answer>yes</answer>", True),
        ("<answer>Yes, it is.</answer>", True),
        ("<answer>**No**</answer>", False),
        ("<answer>TRUE</answer>", True),
        ("<answer>False.</answer>", False),
        (r"\boxed{\text{yes}}", True),
        (r"\boxed{No}", False),
        ("The answer is no, because yes would be odd.", False),
        ("The answer is: **Yes**", True),
        ("Answer: false", False),
        ("#### yes", True),
        ("Yes, since fish swim.", True),
        ("It swims.\nIt is a fish.\nSo it does.\nNo.", False),
        ("<think>yes</think>No", False),
        ("Yes at first.\nNo in the end.", False),
    ],
)
def test_the_first_word_of_the_answer_decides(completion: str, verdict: bool):
    for gold in ("yes", "no"):
        part = yes_no(Problem("p", "logic", (), gold), completion)
        right = verdict == (gold == "yes")
        assert (part.value, part.status) == ((1.0, RewardStatus.PASS) if right else (0.0, RewardStatus.FAIL))


@pytest.mark.parametrize(
    ("completion", "status"),
    [
        ("<answer>yes or no</answer>", RewardStatus.UNPARSABLE),
        ("<answer>Yes/No</answer>", RewardStatus.UNPARSABLE),
        ("<answer>yes and no</answer>", RewardStatus.UNPARSABLE),
        ("<answer>maybe</answer>", RewardStatus.UNPARSABLE),
        ("<answer>yesterday</answer>", RewardStatus.UNPARSABLE),
        ("<answer>not yes</answer>", RewardStatus.UNPARSABLE),
        ("The answer is unclear: yes", RewardStatus.UNPARSABLE),
        ("It may be so.", RewardStatus.NO_ANSWER),
        ("", RewardStatus.NO_ANSWER),
        (r"\boxed{yes", RewardStatus.NO_ANSWER),
    ],
)
def test_hedging_is_no_answer(completion: str, status: RewardStatus):
    for gold in ("yes", "no"):
        part = yes_no(Problem("p", "logic", (), gold), completion, wrong=-0.5)
        assert (part.value, part.status) == (-0.5, status)


@pytest.mark.parametrize(("gold", "right"), [(True, "true"), (False, "no"), ("True", "yes"), ("FALSE", "No")])
def test_booleans_and_their_names_are_ground_truths(gold: object, right: str):
    assert yes_no(Problem("p", "logic", (), gold), f"<answer>{right}</answer>", value=2.0).value == 2.0


@pytest.mark.parametrize("gold", ["maybe", 1, None, ["perhaps"]])
def test_another_ground_truth_is_the_checkers_failure(gold: object):
    with pytest.raises(ValueError, match="ground_truth"):
        yes_no(Problem("p", "logic", (), gold), "yes")


def test_public_answers_pass(shared_data: Path):
    for line in (shared_data / "strategyqa" / "dev.jsonl").read_text(encoding="utf-8").splitlines():
        truth = json.loads(line)["answer"]
        problem = Problem("p", "logic", (), "yes" if truth else "no")
        for completion in (f"So the answer is {str(truth).lower()}.", f"<answer>{'Yes' if truth else 'No'}.</answer>"):
            assert yes_no(problem, completion).value == 1.0
        assert yes_no(problem, f"<answer>{'no' if truth else 'yes'}</answer>").value == 0.0
