# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `refusal` reward: an attempt is always worth more than declining or saying next to nothing."""

from collections.abc import Sequence

from grpo_jax.records import PartScore, Problem
from grpo_jax.rewards.behaviour.phrases import plain_words

PHRASES = (
    "please provide",
    "don't provide",
    "need more information",
    "i need the problem",
    "cannot solve without",
    "unable to solve",
    "cannot answer",
    "can't answer",
    "unable to answer",
    "cannot help",
    "can't help",
    "unable to help",
    "cannot assist",
    "can't assist",
    "unable to assist",
    "as an ai language model",
    "i refuse to",
)
"""What refusals say, in small letters with straight apostrophes."""


def refusal(
    problem: Problem,
    completion: str,
    *,
    phrases: Sequence[str] = PHRASES,
    refused: float = -20.0,
    min_characters: int = 15,
    too_short: float = -10.0,
    attempt_marks: Sequence[str] = ("<reasoning>", "<answer>"),
    attempted: float = 1.0,
    otherwise: float = -2.0,
) -> PartScore:
    """Score whether the completion tries at all; the first rule that holds decides.

    Args:
        problem: Not looked at.
        completion: Decoded text of the assistant's turn.
        phrases: Any of them, in any letter case, is a refusal.
        refused: For a refusal.
        min_characters: Fewer, white space around them aside, are `too_short`.
        too_short: For next to nothing.
        attempt_marks: Any of them, or any digit, is an attempt.
        attempted: For an attempt.
        otherwise: For text without any of these.
    """
    text = plain_words(completion)
    if any(plain_words(phrase) in text for phrase in phrases):
        return PartScore(refused)
    if len(completion.strip()) < min_characters:
        return PartScore(too_short)
    tried = any(mark.casefold() in text for mark in attempt_marks) or any(letter.isdigit() for letter in text)
    return PartScore(attempted if tried else otherwise)
