# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
r"""Reads inequalities in one letter as intervals, so that `x \leq 3` and `(-\infty, 3]` are one answer."""

import re

_LETTER = r"[A-Za-z]|\\(?:theta|alpha|beta|lambda|mu)"
_SIGN = r"<|>|\\leq|\\geq"
_ONE = re.compile(rf"(?:({_LETTER})\s*({_SIGN})(.+)|(.+?)({_SIGN})\s*({_LETTER})\s*)")
_TWO = re.compile(rf"([^<>]+?)(<|\\leq)\s*(?:{_LETTER})\s*(<|\\leq)([^<>]+)")
_SET_BUILDER = re.compile(rf"\\\{{\s*(?:{_LETTER})\s*(?:\\mid|\||:)(.+)\\\}}")
_OPEN_ENDS = {"<": ("(", ")"), ">": ("(", ")"), "\\leq": ("[", "]"), "\\geq": ("[", "]")}
_FLIPPED = {"<": ">", ">": "<", "\\leq": "\\geq", "\\geq": "\\leq"}


def _bound(text: str) -> str | None:
    """A bound without a relation or a separator of its own."""
    text = text.strip()
    return None if not text or re.search(r"[<>=,;]|\\[lg]eq|\\neq|\bor\b|\band\b", text) else text


def interval_of(normal: str) -> str | None:
    r"""The interval that a normalised inequality describes, as text such as `(-\infty, 3]`.

    Reads one or two relations around a single letter, set-builder notation around them, and the set of real numbers;
    None for anything else.
    """
    if normal == "R":
        return r"(-\infty,\infty)"
    builder = _SET_BUILDER.fullmatch(normal)
    if builder:
        normal = builder.group(1).strip()
    both = _TWO.fullmatch(normal)
    if both:
        low, high = _bound(both.group(1)), _bound(both.group(4))
        if low is None or high is None:
            return None
        return f"{_OPEN_ENDS[both.group(2)][0]}{low}, {high}{_OPEN_ENDS[both.group(3)][1]}"
    one = _ONE.fullmatch(normal)
    if one is None:
        return None
    sign = one.group(2) or _FLIPPED[one.group(5)]
    bound = _bound(one.group(3) or one.group(4))
    if bound is None:
        return None
    opening, closing = _OPEN_ENDS[sign]
    return rf"(-\infty, {bound}{closing}" if sign in ("<", "\\leq") else rf"{opening}{bound}, \infty)"
