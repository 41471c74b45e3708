# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `yes_no` reward: yes, no, true and false as answers."""

import re

from grpo_jax.records import PartScore, Problem, RewardStatus
from grpo_jax.rewards.extraction import extract_answer, final_part
from grpo_jax.rewards.ground_truth import gold_texts, truth_value

_FIRST_WORD = re.compile(
    r"(?:\\(?:text(?:bf|it|rm)?|mathrm)\s*)?[\s*_`\"'“({$\[]*(?:\\text(?:bf)?\{)?([A-Za-z]+)(?![\w'’])"
)
_BOTH = re.compile(r"\W*(?:yes|no|true|false)\W{0,3}(?:(?:or|and)\W{0,3})?(?:yes|no|true|false)\b", re.IGNORECASE)


def _verdict(text: str) -> bool | None:
    """What the first word says; None where it says nothing or the text names two answers at once."""
    first = _FIRST_WORD.match(text)
    return truth_value(first.group(1)) if first and not _BOTH.match(text) else None


def _unmarked(text: str) -> bool | None:
    """The verdict at the start of the last line, or else at the start of the text."""
    last = _verdict(text.rstrip().rpartition("\n")[2])
    return _verdict(text) if last is None else last


def yes_no(problem: Problem, completion: str, *, value: float = 1.0, wrong: float = 0.0) -> PartScore:
    """Score a yes-or-no answer: the first word of the marked answer, or of the last line or the text without one.

    Args:
        problem: Its `ground_truth` is "yes" or "no" (or true, false, a boolean).
        completion: Decoded text of the assistant's turn.
        value: For the right answer.
        wrong: For anything else.

    Raises:
        ValueError: The ground truth is neither.
    """
    truth = problem.ground_truth
    gold = truth if isinstance(truth, bool) else truth_value(gold_texts(truth)[0])
    if gold is None:
        raise ValueError(f"ground_truth {truth!r} is neither yes nor no")
    answer = extract_answer(completion)
    given = _unmarked(final_part(completion)) if answer is None else _verdict(answer.text)
    if given is None:
        return PartScore(wrong, RewardStatus.NO_ANSWER if answer is None else RewardStatus.UNPARSABLE)
    short = "yes" if given else "no"
    return PartScore(value, RewardStatus.PASS, short) if given == gold else PartScore(wrong, RewardStatus.FAIL, short)
