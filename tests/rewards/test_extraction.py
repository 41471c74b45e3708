# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.rewards.extraction import extract_answer

CASES = [
    # text, answer, source
    (r"so \boxed{42}.", "42", "box"),
    (r"first \boxed{1}, no: \boxed{2}", "2", "box"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", "box"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}", "box"),
    (r"\boxed{\left\{ x \right.}", r"\left\{ x \right.", "box"),
    (r"\boxed{x = \boxed{5}}", "5", "box"),
    (r"\fbox{7}", "7", "box"),
    (r"\boxed {8}", "8", "box"),
    (r"I put it in \boxed{} now: \boxed{3}, never \boxed{}", "3", "box"),
    (r"\boxed{5} and then \boxed{6", "5", "box"),
    (r"<answer>1</answer> but \boxed{2}", "2", "box"),
    (r"<answer>\boxed{2}</answer>", "2", "box"),
    ("<answer> 5 </answer>", "5", "tag"),
    ("<answer>4</answer> oh <answer>5</answer>", "5", "tag"),
    ("<answer>4</answer> oh <answer></answer>", "4", "tag"),
    ("<answer>4</answer> oh <answer>5", "4", "tag"),
    ("<answer>a <answer>b</answer>", "b", "tag"),
    ("<answer>line 1\nline 2</answer>", "line 1\nline 2", "tag"),
    ("#### 3\n<answer>5</answer>", "5", "tag"),
    ("3 + 4 = 7\n#### 7", "7", "hashes"),
    ("#### 7\nwait\n#### 8\nbye", "8", "hashes"),
    ("The answer is 9.", "9", "cue"),
    ("The answer is $\\frac{1}{2}$, I think.", r"\frac{1}{2}", "cue"),
    ("**Answer:** 12", "12", "cue"),
    ("The answer is: **15**", "15", "cue"),
    ("The final answer is 3.5 because 7/2 is that", "3.5", "cue"),
    ("Answer: 1\nNo. Answer: 2\nDone", "2", "cue"),
    ("The answer is not 5.", "not 5", "cue"),
    ("<think>\\boxed{1}</think>The answer is 2.", "2", "cue"),
    ("<think><answer>1</answer></think><answer>3</answer>", "3", "tag"),
]
NOTHING = [
    "",
    "no idea, maybe 5",
    r"The answer is \boxed{42",
    r"\boxed{42 <answer>42",
    r"\boxed{42 <answer>42</answer>",
    r"\boxed{}",
    "<answer></answer>",
    "<answer>   </answer>",
    "<answer>5",
    "####",
    "##### Heading five",
    r"\boxed{5}</think>",
]


@pytest.mark.parametrize(("text", "answer", "source"), CASES)
def test_the_documented_order_finds_the_answer(text: str, answer: str, source: str):
    found = extract_answer(text)
    assert found is not None
    assert (found.text, found.source) == (answer, source)


@pytest.mark.parametrize("text", NOTHING)
def test_no_marked_answer_is_none(text: str):
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [("it is 5, or 1,234.5", "1,234.5"), ("about -3/4 then", "-3/4"), ("50%!", "50%"), ("so 12.", "12"), ("a", None)],
)
def test_the_last_number_counts_only_on_request(text: str, answer: str | None):
    found = extract_answer(text, last_number=True)
    assert (found.text if found else None) == answer
    assert extract_answer(text) is None


def test_a_marked_answer_goes_before_the_last_number():
    found = extract_answer("<answer>5</answer> of 77", last_number=True)
    assert found is not None
    assert found.text == "5"


@pytest.mark.parametrize(
    "unit",
    [r"\boxed{", "<answer>", "</answer>", "####", "answer is ", "}", r"\boxed{}", "<answer></answer>", "\\", "1,"],
)
def test_long_repetitions_are_searched_in_linear_time(unit: str):
    # A quadratic search would take minutes here, which is how this test fails.
    extract_answer(unit * (300_000 // len(unit)), last_number=True)
