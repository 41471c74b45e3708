# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `answer` and `numbers` rewards: graded credit for what stands between the answer tags."""

import re
from collections.abc import Sequence
from fractions import Fraction

from grpo_jax.records import PartScore, Problem, RewardStatus
from grpo_jax.rewards.exact_values import MAX_LENGTH, rational, read_number
from grpo_jax.rewards.ground_truth import gold_texts
from grpo_jax.rewards.math_notation import normalise
from grpo_jax.rewards.tagged_text import ANSWER_TAGS, last_section, tag_pair

_NUMBER = re.compile(r"[-+−]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?")


def _number(text: str) -> Fraction | None:
    if len(text) > MAX_LENGTH:
        return None
    found = read_number(normalise(text))
    return found.value if found else None


def _within(guess: Fraction, gold: Fraction, tolerance: float) -> bool:
    return abs(guess - gold) <= Fraction(str(tolerance)) * abs(gold)


def answer(
    problem: Problem,
    completion: str,
    *,
    tags: Sequence[str] = ANSWER_TAGS,
    exact: float = 3.0,
    stripped: float = 1.5,
    near: float = 0.5,
    near_tolerance: float = 0.1,
    rough: float = 0.25,
    rough_tolerance: float = 0.2,
    wrong: float = -1.0,
    not_a_number: float = -0.5,
    missing: float = 0.0,
) -> PartScore:
    """Grade the last non-empty answer section; of several accepted answers the best grade counts.

    Args:
        problem: Its `ground_truth` is text, a number, a list of them, or a choice, whose label is then the answer.
        completion: Decoded text of the assistant's turn.
        tags: The opening and the closing tag.
        exact: The section is the accepted answer, character by character.
        stripped: It is after white space around it is dropped.
        near: Both are numbers and at most `near_tolerance` x |accepted| apart.
        near_tolerance: See `near`.
        rough: The same for `rough_tolerance`.
        rough_tolerance: See `rough`.
        wrong: Both are numbers, further apart.
        not_a_number: Not equal, and one of them is no number.
        missing: There is no closed section with something in it.

    Returns:
        The grade; the status is pass for `exact` and `stripped` alone.
    """
    golds = gold_texts(problem.ground_truth)
    guess = last_section(completion, tag_pair(tags))
    if guess is None:
        return PartScore(missing, RewardStatus.NO_ANSWER)
    short = guess.strip()
    if guess in golds:
        return PartScore(exact, RewardStatus.PASS, short)
    if short in [gold.strip() for gold in golds]:
        return PartScore(stripped, RewardStatus.PASS, short)
    number = _number(guess)
    wanted = [value for value in map(_number, golds) if value is not None]
    if number is None or not wanted:
        return PartScore(not_a_number, RewardStatus.UNPARSABLE if wanted else RewardStatus.FAIL)
    for value, tolerance in ((near, near_tolerance), (rough, rough_tolerance)):
        if any(_within(number, gold, tolerance) for gold in wanted):
            return PartScore(value, RewardStatus.FAIL, short)
    return PartScore(wrong, RewardStatus.FAIL, short)


def numbers(problem: Problem, completion: str, *, tags: Sequence[str] = ANSWER_TAGS, value: float = 1.5) -> PartScore:
    """Score the first number inside the last non-empty answer section, whatever words stand around it.

    Returns:
        `value` where it equals the number of an accepted answer, else 0.
    """
    section = last_section(completion, tag_pair(tags))
    match = _NUMBER.search(section) if section else None
    found = (
        rational(match.group().rstrip(",").replace("−", "-")) if match and len(match.group()) <= MAX_LENGTH else None
    )
    wanted = [_number(gold) for gold in gold_texts(problem.ground_truth)]
    return PartScore(value if found is not None and found in wanted else 0.0)
