# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rewards.accuracy import accuracy
from grpo_jax.rewards.ground_truth import kind_of

CHOICE = {"label": "B", "choices": {"A": "fog", "B": "rain"}}
CALLS = {"functions": [{"name": "f"}], "calls": [{"f": {"a": [1]}}]}


@pytest.mark.parametrize(
    ("truth", "ability", "kind"),
    [
        ("72", "", "math"), ("-1,234.5", "", "math"), (72, "", "math"), (0.5, "", "math"), ("1/2", "", "math"),
        (r"\frac{1}{2}", "", "math"), ("x = 3", "", "math"), ("50%", "", "math"), ("$5", "", "math"),
        ("12 cm", "", "math"), ("(1, 2)", "", "math"), ("x+1", "math", "math"), ("May", "math", "math"),
        (["1/2", "0.5"], "", "math"), ("Paris", "", "text"), (["Paris", "the city"], "", "text"),
        ("1972", "qa", "text"), ("14 December 1972", "", "text"), (["1972", "Apollo 17"], "", "text"),
        ("B", "", "choice"), (CHOICE, "", "choice"), ("yes", "", "yes_no"), ("False", "", "yes_no"),
        (True, "", "yes_no"), (CALLS, "", "calls"),
    ],
)  # fmt: skip
def test_the_kind_is_read_off_the_ground_truth(truth: object, ability: str, kind: str):
    assert kind_of(Problem("p", "d", (), truth, ability=ability)) == kind


@pytest.mark.parametrize("truth", [{"kind": "asserts", "tests": []}, None, [], ""])
def test_other_ground_truths_have_no_kind(truth: object):
    with pytest.raises(ValueError, match="ground_truth"):
        kind_of(Problem("p", "d", (), truth))


@pytest.mark.parametrize(
    ("truth", "right", "wrong"),
    [
        ("1/2", r"\boxed{0.5}", r"\boxed{0.6}"),
        ("Paris", "<answer>paris</answer>", "<answer>London</answer>"),
        (CHOICE, "The answer is (B)", "The answer is (A)"),
        ("yes", "<answer>Yes</answer>", "<answer>No</answer>"),
        (CALLS, "[f(a=1)]", "[f(a=2)]"),
    ],
)
def test_accuracy_is_one_for_right_answers_of_every_kind(truth: object, right: str, wrong: str):
    problem = Problem("p", "d", (), truth)
    assert (accuracy(problem, right).value, accuracy(problem, right).status) == (1.0, RewardStatus.PASS)
    assert (accuracy(problem, wrong).value, accuracy(problem, wrong).status) == (0.0, RewardStatus.FAIL)
    assert accuracy(problem, "I wonder").value == 0.0
