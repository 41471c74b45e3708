# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Finds what stands between an opening and a closing tag; every search is linear in the text."""

from collections.abc import Sequence

from grpo_jax.records import ConfigError

REASONING_TAGS = ("<reasoning>", "</reasoning>")
ANSWER_TAGS = ("<answer>", "</answer>")


def tag_pair(tags: Sequence[str], setting: str = "tags") -> tuple[str, str]:
    """Check a setting that names an opening and a closing tag.

    Raises:
        ConfigError: There are not two different, non-empty tags.
    """
    pair = tuple(tags)
    if isinstance(tags, str) or len(pair) != 2 or len({*pair}) < 2 or not all(pair):
        raise ConfigError(f"reward setting {setting}={tags!r} must be an opening and a closing tag")
    return pair[0], pair[1]


def sections(text: str, tags: tuple[str, str]) -> list[str]:
    """The contents of all closed pairs in order; of several openings before a closing tag the nearest counts."""
    opening, closing = tags
    found, position = [], 0
    while (end := text.find(closing, position)) >= 0:
        start = text.rfind(opening, position, end)
        if start >= 0:
            found.append(text[start + len(opening) : end])
        position = end + len(closing)
    return found


def last_section(text: str, tags: tuple[str, str]) -> str | None:
    """The content, as it stands, of the last closed pair that holds more than white space."""
    return next((inner for inner in reversed(sections(text, tags)) if inner.strip()), None)
