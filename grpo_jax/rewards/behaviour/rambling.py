# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `length_and_rambling` reward: pressure to be brief and to stop after the answer."""

from collections.abc import Sequence

from grpo_jax.records import PartScore, Problem
from grpo_jax.rewards.behaviour.phrases import plain_words
from grpo_jax.rewards.tagged_text import ANSWER_TAGS

MARKERS = (
    "let's re-read",
    "let's rephrase the problem",
    "let us",
    "however",
    "we are given that",
    "this is not correct",
    "not possible",
)
"""Turns of phrase of a text that starts over, in small letters with straight apostrophes."""


def length_and_rambling(
    problem: Problem,
    completion: str,
    *,
    free_characters: int = 80,
    excess_value: float = -4.0,
    after_tag: str = ANSWER_TAGS[1],
    after_value: float = -2.5,
    markers: Sequence[str] = MARKERS,
    marker_value: float = -0.5,
) -> PartScore:
    """Score length, text behind the answer and rambling.

    Args:
        problem: Not looked at.
        completion: Decoded text of the assistant's turn.
        free_characters: Length up to which nothing is taken, above 0.
        excess_value: Times (length - free_characters) / free_characters beyond it.
        after_tag: The tag that ends the answer.
        after_value: Once, where more than white space follows the first `after_tag`.
        markers: Phrases of rambling, found in any letter case.
        marker_value: For each marker that occurs, however often.

    Returns:
        The sum; 0 at best with the default values, without a bound below.
    """
    excess = max(len(completion) - free_characters, 0) / free_characters
    after = completion.partition(after_tag)[2].strip()
    text = plain_words(completion)
    rambling = sum(plain_words(marker) in text for marker in markers)
    return PartScore(excess_value * excess + (after_value if after else 0.0) + marker_value * rambling)
