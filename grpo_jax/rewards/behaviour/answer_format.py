# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Behavioural rewards for the shape of a completion; they say nothing about whether the answer is right."""

from grpo_jax.records import PartScore, Problem
from grpo_jax.rewards.extraction import extract_answer, find_boxes


def answer_format(problem: Problem, completion: str) -> PartScore:
    """Score the use of `<answer>...</answer>`.

    Returns:
        1.0 for exactly one well-formed, non-empty pair with nothing but white space behind it; 0.5 where the one pair
        is followed by text; 0.0 otherwise.
    """
    if completion.count("<answer>") != 1 or completion.count("</answer>") != 1:
        return PartScore(0.0)
    opening, closing = completion.index("<answer>"), completion.index("</answer>")
    if closing < opening or not completion[opening + len("<answer>") : closing].strip():
        return PartScore(0.0)
    return PartScore(0.5 if completion[closing + len("</answer>") :].strip() else 1.0)


def answer_given(problem: Problem, completion: str) -> PartScore:
    """Score whether there is an answer to judge at all.

    Returns:
        1.0 when `extraction.extract_answer` finds one in any of its places; 0.0 otherwise.
    """
    return PartScore(0.0 if extract_answer(completion) is None else 1.0)


def boxed_format(problem: Problem, completion: str) -> PartScore:
    r"""Score the use of `\boxed{...}`.

    Returns:
        1.0 when the completion opens exactly one box, and that box closes with something in it; 0.0 otherwise.
    """
    boxes, unclosed = find_boxes(completion)
    good = len(boxes) == 1 and unclosed is None and bool(completion[boxes[0].start : boxes[0].end].strip())
    return PartScore(1.0 if good else 0.0)
