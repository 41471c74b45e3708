# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rewards.choice_answer import choice

OPTIONS = {"A": "acid rain", "B": "rain", "C": "a drought", "D": "vitamin A"}
STATUSES = {
    "pass": RewardStatus.PASS,
    "fail": RewardStatus.FAIL,
    "none": RewardStatus.NO_ANSWER,
    "unread": RewardStatus.UNPARSABLE,
}


def problem(label: str, options: dict[str, str] | None = None) -> Problem:
    return Problem("p", "science", (), {"label": label, "choices": options or OPTIONS})


@pytest.mark.parametrize(
    "answer",
    ["B", "b", "(B)", "(b)", "[B]", "B.", "B)", "B:", "**B**", "`B`", "$B$", r"\text{B}", r"\textbf{(B)}", "rain",
     "Rain.", "the rain", "B. rain", "(B) Rain", "B: rain", "B - rain", "Option B", "option (B)", "choice B",
     "Option B: rain", "The correct answer is B.", "letter B", "2", "(2)", "option 2", "b) rain", "B, rain",
     "It is B", "it must be rain", '"rain"'],
)  # fmt: skip
def test_a_choice_counts_in_any_usual_dress(answer: str):
    part = choice(problem("B"), f"<answer>{answer}</answer>")
    assert (part.value, part.status) == (1.0, RewardStatus.PASS)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("A", "fail"), ("(C)", "fail"), ("acid rain", "fail"), ("1", "fail"), ("A or B", "fail"), ("B or C", "fail"),
        ("A, B", "fail"), ("B and D", "fail"), ("(A) or (B)", "fail"), ("A/B", "fail"), ("B. drought", "fail"),
        ("A drought", "fail"), ("B is wrong, so C", "fail"), ("rain or drought", "fail"), ("neither", "unread"),
        ("not rain", "unread"), ("not B", "unread"), ("neither B", "unread"), ("E", "unread"), ("5", "unread"),
        ("snow", "unread"), ("A snowfall", "unread"),
        ("a snowfall", "unread"), ("B" * 3000, "unread"),
    ],
)  # fmt: skip
def test_two_letters_other_options_and_other_text_are_wrong(answer: str, status: str):
    part = choice(problem("B"), f"<answer>{answer}</answer>")
    assert (part.value, part.status) == (0.0, STATUSES[status])


@pytest.mark.parametrize(
    ("completion", "status"),
    [
        ("The answer is B.", "pass"),
        ("The answer is (B) rain.", "pass"),
        ("The answer is B because A is too sour.", "pass"),
        ("Answer: B\n", "pass"),
        (r"so \boxed{B}", "pass"),
        ("A is out. The correct option is B.", "pass"),
        ("I would choose (B).", "pass"),
        ("Option B is correct.", "pass"),
        ("Option A is correct. No, option B is correct.", "fail"),
        ("clouds form\nB", "pass"),
        ("clouds form\n(b) rain", "pass"),
        ("clouds form\nRain", "pass"),
        ("<think>The answer is A</think>B", "pass"),
        ("The answer is A. Wait, the answer is B.", "pass"),
        ("A cloud forms and B follows in time", "none"),
        ("it might be B or not", "none"),
        ("", "none"),
        ("The answer is A or B.", "fail"),
        ("The answer is not B.", "unread"),
        ("The answer is B. It is not A.", "pass"),
        (r"\boxed{B", "none"),
    ],
)
def test_the_choice_is_found_by_box_tag_cue_or_last_line(completion: str, status: str):
    assert choice(problem("B"), completion).status is STATUSES[status]


@pytest.mark.parametrize(
    ("label", "answer"),
    [
        ("D", "vitamin A"),
        ("D", "D. vitamin A"),
        ("A", "A. acid rain"),
        ("A", "acid rain"),
        ("C", "A drought"),
        ("C", "drought"),
    ],
)
def test_letters_and_texts_inside_option_texts_do_not_confuse(label: str, answer: str):
    assert choice(problem(label), f"<answer>{answer}</answer>").status is RewardStatus.PASS


def test_an_option_that_is_a_number_goes_before_the_number_of_an_option():
    options = {"A": "4", "B": "3", "C": "2"}
    assert choice(problem("C", options), "<answer>2</answer>").status is RewardStatus.PASS
    assert choice(problem("B", options), "<answer>2</answer>").status is RewardStatus.FAIL
    assert choice(problem("B", options), "<answer>option B</answer>").status is RewardStatus.PASS


def test_options_that_differ_in_signs_or_case_alone_are_told_apart():
    options = {"A": "-1", "B": "+1", "C": "SS or Ss", "D": "ss or SS"}
    for label, text in options.items():
        assert choice(problem(label, options), f"<answer>{text}</answer>").status is RewardStatus.PASS


def test_a_bare_letter_is_enough_of_a_ground_truth():
    bare = Problem("p", "science", (), "(c)")
    assert choice(bare, "The answer is C").status is RewardStatus.PASS
    assert choice(bare, "The answer is B").status is RewardStatus.FAIL
    assert choice(bare, "The answer is drought").status is RewardStatus.UNPARSABLE


def test_values_can_be_set():
    assert choice(problem("B"), "<answer>B</answer>", value=2.0).value == 2.0
    assert choice(problem("B"), "<answer>A</answer>", wrong=-1.0).value == -1.0


@pytest.mark.parametrize(
    "truth", ["rain", None, {"label": "B"}, {"label": "E", "choices": OPTIONS}, {"choices": OPTIONS}]
)
def test_a_ground_truth_that_is_no_choice_is_the_checkers_failure(truth: object):
    with pytest.raises(ValueError, match="ground_truth"):
        choice(Problem("p", "science", (), truth), "B")


DRESSES: list[Callable[[str, str], str]] = [
    lambda letter, text: f"<answer>{letter}</answer>",
    lambda letter, text: f"<answer>{text}</answer>",
    lambda letter, text: f"The answer is ({letter}).",
    lambda letter, text: f"Answer: {letter}. {text}",
    lambda letter, text: rf"Thus \boxed{{\text{{{letter}}}}}",
    lambda letter, text: f"<answer>({letter}) {text}</answer>",
    lambda letter, text: f"The answer is **{letter}**, {text}.",
    lambda letter, text: f"The correct option is {letter}",
    lambda letter, text: f"Let us see.\n({letter.lower()}) {text}",
]


def _arc(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for file in ("arc_challenge_test.jsonl", "arc_easy_validation.jsonl"):
        for line in (folder / file).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            options = dict(zip("ABCDE", row["choices"]["text"], strict=False))
            yield "ABCDE"[row["choices"]["label"].index(row["answerKey"])], options


def test_public_problems_pass_with_the_right_option_alone(shared_data: Path):
    seen = set()
    for label, options in _arc(shared_data / "arc"):
        if any(text in options for text in options.values()):
            continue  # one row asks for chemical symbols: "C" is its option A
        seen.add(len(options))
        for dress in DRESSES:
            for letter, text in options.items():
                right = choice(problem(label, options), dress(letter, text)).value == 1.0
                assert right == (letter == label), (dress(letter, text), options, label)
    assert seen >= {3, 4, 5}
