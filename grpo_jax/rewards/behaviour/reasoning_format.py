# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Behavioural rewards for reasoning and answer in tags; they say nothing about whether the answer is right."""

from collections.abc import Sequence

from grpo_jax.records import ConfigError, PartScore, Problem
from grpo_jax.rewards.tagged_text import ANSWER_TAGS, REASONING_TAGS, tag_pair

_FOUR_TAGS = (*REASONING_TAGS, *ANSWER_TAGS)
_THINK_TAGS = ("<think>", "</think>")


def _four(tags: Sequence[str]) -> tuple[str, ...]:
    if isinstance(tags, str) or len(tags) != 4 or not all(tags):
        raise ConfigError(
            f"reward setting tags={tags!r} must be four tags: reasoning opens and closes, answer opens and closes"
        )
    return tuple(tags)


def format_exact(
    problem: Problem, completion: str, *, tags: Sequence[str] = _FOUR_TAGS, value: float = 3.0
) -> PartScore:
    """Score the whole shape `<reasoning>...</reasoning><answer>...</answer>`.

    Args:
        problem: Not looked at.
        completion: Decoded text of the assistant's turn.
        tags: The four tags in the order in which they must stand.
        value: What the right shape earns.

    Returns:
        `value` where each tag occurs once, in order, neither section is blank, and only white space stands before,
        between and behind the sections; else 0.
    """
    text, gaps = completion, []
    for tag in _four(tags):
        before, found, text = text.partition(tag)
        if not found:
            return PartScore(0.0)
        gaps.append(before)
    gaps.append(text)
    once = all(completion.count(tag) == 1 for tag in tags)
    filled = [bool(gap.strip()) for gap in gaps]
    return PartScore(value if once and filled == [False, True, False, True, False] else 0.0)


def format_approximate(
    problem: Problem,
    completion: str,
    *,
    tags: Sequence[str] = _FOUR_TAGS,
    present: float = 0.5,
    absent: float = -0.5,
) -> PartScore:
    """Score each of the four tags alone: `present` where it occurs exactly once, else `absent`."""
    return PartScore(sum((present if completion.count(tag) == 1 else absent for tag in _four(tags)), 0.0))


def think_format(
    problem: Problem,
    completion: str,
    *,
    tags: Sequence[str] = _THINK_TAGS,
    opened_by_prompt: bool = False,
    value: float = 1.0,
) -> PartScore:
    """Score the shape `<think>...</think> answer`.

    Args:
        problem: Not looked at.
        completion: Decoded text of the assistant's turn.
        tags: The opening and the closing tag.
        opened_by_prompt: The chat template already wrote the opening tag, so the completion must not repeat it.
        value: What the right shape earns.

    Returns:
        `value` where the completion starts with the opening tag (white space aside), closes it once, holds no further
        tag, and something stands behind it; else 0.
    """
    opening, closing = tag_pair(tags)
    expected = 0 if opened_by_prompt else 1
    if completion.count(opening) != expected or completion.count(closing) != 1:
        return PartScore(0.0)
    starts = opened_by_prompt or completion.lstrip().startswith(opening)
    return PartScore(value if starts and completion.partition(closing)[2].strip() else 0.0)
