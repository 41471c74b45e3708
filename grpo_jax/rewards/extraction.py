# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
r"""Finds the final answer in a completion.

The order, first hit wins; only text after the last `</think>` counts where that tag is present:

1. the last balanced, non-empty `\boxed{...}` (or `\fbox{...}`),
2. the last non-empty `<answer>...</answer>`,
3. the rest of the line after the last `####`,
4. what follows the last cue phrase ("answer is", "answer:"), up to the end of its sentence,
5. only on request, the last number.

A box that never closes is no answer: neither its content nor anything after it is read. Every search is linear in the
length of the completion, because completions are adversarial input.
"""

import re
from dataclasses import dataclass
from typing import Literal

Source = Literal["box", "tag", "hashes", "cue", "last_number"]

_THINK_END = "</think>"
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BOX_OR_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_TAG = re.compile(r"<answer>((?:(?!<answer>).)*?)</answer>", re.DOTALL)
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t]*([^\n]*)")
_CUE = re.compile(r"\banswer[*_]*\s*(?:is|are|:|=|equals)[*_]*\s*:?", re.IGNORECASE)
_MATH_SPAN = re.compile(r"\s*(?:\$\$(.+?)\$\$|\$([^$\n]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\])", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n|[,;]?\s(?:because|since)\b", re.IGNORECASE)
_NUMBER = re.compile(r"[-+−]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?%?")


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of a final answer and the rule that found it."""

    text: str
    source: Source


def final_part(completion: str) -> str:
    """Drop everything up to the last `</think>`."""
    return completion.rpartition(_THINK_END)[2]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a balanced box stands: `text[command:]` starts it and `text[start:end]` is its content."""

    command: int
    start: int
    end: int


def find_boxes(text: str) -> tuple[list[Box], int | None]:
    """Scan once for boxes.

    Returns:
        The balanced boxes in the order in which they open, and where the first box that never closes starts.
    """
    stack: list[tuple[int, int] | None] = []  # (command, start) of an open box, None for any other open brace
    boxes = []
    for token in _BOX_OR_BRACE.finditer(text):
        word = token.group()
        if _BOX.match(word):
            stack.append((token.start(), token.end()))
        elif word == "{":
            stack.append(None)
        elif word == "}" and stack:
            opened = stack.pop()
            if opened is not None:
                boxes.append(Box(*opened, token.start()))
    return sorted(boxes, key=lambda box: box.command), next((item[0] for item in stack if item is not None), None)


def _after_cue(text: str) -> str:
    """The claim behind the last cue phrase; empty without one."""
    end = None
    for cue in _CUE.finditer(text):
        end = cue.end()
    if end is None:
        return ""
    rest = text[end : end + 1000].lstrip(" \t\n*_")
    span = _MATH_SPAN.match(rest)
    if span:
        return next(group for group in span.groups() if group is not None).strip()
    stop = _SENTENCE_END.search(rest)
    return (rest[: stop.start()] if stop else rest).strip(" \t*_")


def extract_answer(completion: str, *, last_number: bool = False) -> Answer | None:
    """Find the final answer by the order in the module's docstring.

    Args:
        completion: Decoded text of the assistant's turn.
        last_number: Fall back to the last number in the text.

    Returns:
        A non-empty answer, or None.
    """
    text = final_part(completion)
    boxes, unclosed = find_boxes(text) if _BOX.search(text) else ([], None)
    for box in reversed(boxes):
        content = text[box.start : box.end].strip()
        if content:
            return Answer(content, "box")
    if unclosed is not None:
        text = text[:unclosed]
    tags = [inner.strip() for inner in _TAG.findall(text)]
    hashes = [inner.strip() for inner in _HASHES.findall(text)]
    candidates: list[tuple[Source, str]] = [
        ("tag", next((inner for inner in reversed(tags) if inner), "")),
        ("hashes", next((inner for inner in reversed(hashes) if inner), "")),
        ("cue", _after_cue(text)),
    ]
    if last_number:
        numbers = _NUMBER.findall(text)
        candidates.append(("last_number", numbers[-1].rstrip(",") if numbers else ""))
    return next((Answer(found, source) for source, found in candidates if found), None)
