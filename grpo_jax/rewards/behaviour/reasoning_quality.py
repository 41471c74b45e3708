# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `reasoning_quality` reward: surface signs of worked-out reasoning, with a cost for imitating them in bulk."""

import re
from collections import Counter
from collections.abc import Sequence

from grpo_jax.records import PartScore, Problem
from grpo_jax.rewards.behaviour.phrases import plain_words
from grpo_jax.rewards.tagged_text import REASONING_TAGS, last_section, tag_pair

CONNECTIVES = (
    "because", "therefore", "thus", "hence", "so", "since", "then", "first", "second", "next", "finally", "given",
    "assume", "consider", "compare", "evaluate", "determine", "conclude", "as a result", "it follows", "which means",
    "based on", "according to",
)  # fmt: skip
FILLERS = ("it is obvious", "clearly", "everyone knows", "needless to say", "without loss of generality")
_SENTENCE_VALUES = ((2, 0.15), (4, 0.15), (7, 0.1))
_REPETITION_VALUES = ((2, -0.1), (3, -0.2), (4, -0.35), (5, -0.5))
_LENGTH_VALUES = ((0, -0.25), (25, 0.0), (50, 0.25), (251, 0.15), (451, 0.0), (601, -0.35))
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_NAME = re.compile(r"[^\s.!?:] +[A-Z][a-z]")
_MIN_SENTENCE_CHARACTERS = 7

Steps = Sequence[tuple[float, float]]


def _at(steps: Steps, amount: float) -> float:
    """The value of the last step whose threshold `amount` reaches; 0 below the first."""
    return next((value for threshold, value in reversed(steps) if amount >= threshold), 0.0)


def _phrase_pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted((re.escape(plain_words(phrase)) for phrase in phrases), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)")


def reasoning_quality(
    problem: Problem,
    completion: str,
    *,
    tags: Sequence[str] = REASONING_TAGS,
    missing: float = -0.4,
    sentence_values: Steps = _SENTENCE_VALUES,
    connectives: Sequence[str] = CONNECTIVES,
    connective_value: float = 0.25,
    connective_counts: tuple[int, int] = (1, 5),
    spam_count: int = 9,
    spam_value: float = -0.25,
    repetition_values: Steps = _REPETITION_VALUES,
    length_values: Steps = _LENGTH_VALUES,
    grounding_value: float = 0.15,
    fillers: Sequence[str] = FILLERS,
    filler_value: float = -0.3,
    lowest: float = -0.6,
    highest: float = 0.9,
) -> PartScore:
    """Score the text between the reasoning tags.

    Args:
        problem: Not looked at.
        completion: Decoded text of the assistant's turn.
        tags: The opening and the closing tag.
        missing: Where no closed section holds anything.
        sentence_values: (count, value), ascending; the values of all counts that are reached add up.
        connectives: Words and phrases of reasoning, counted as whole words.
        connective_value: For a count of connectives within `connective_counts`, ends included.
        connective_counts: See `connective_value`.
        spam_count: From this count on connectives are spam.
        spam_value: For spam.
        repetition_values: (count, value), ascending, for the connective that occurs most often; the last one reached.
        length_values: (words, value), ascending; the last one reached.
        grounding_value: For each of a digit, an announced example and a name inside a sentence, two at most.
        fillers: Phrases that assert instead of arguing.
        filler_value: Once, where any of them occurs.
        lowest: Lower clamp of the sum.
        highest: Upper clamp of the sum.

    Returns:
        A value in [lowest, highest], or `missing`.
    """
    section = last_section(completion, tag_pair(tags))
    if section is None:
        return PartScore(missing)
    text = plain_words(section)
    sentences = [part for part in _SENTENCE_END.split(section) if len(part.strip()) >= _MIN_SENTENCE_CHARACTERS]
    score = sum((value for count, value in sentence_values if len(sentences) >= count), 0.0)
    counts = Counter(_phrase_pattern(connectives).findall(text)) if connectives else Counter[str]()
    if connective_counts[0] <= counts.total() <= connective_counts[1]:
        score += connective_value
    elif counts.total() >= spam_count:
        score += spam_value
    score += _at(repetition_values, max(counts.values(), default=0)) + _at(length_values, len(text.split()))
    grounded = (
        any(character.isdigit() for character in text),
        "for example" in text or "for instance" in text,
        bool(_NAME.search(section)),
    )
    score += grounding_value * min(sum(grounded), 2)
    if fillers and _phrase_pattern(fillers).search(text):
        score += filler_value
    return PartScore(min(max(score, lowest), highest))
