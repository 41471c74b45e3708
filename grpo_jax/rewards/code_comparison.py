# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Compares what a sandbox reported with what was expected: plain data with plain data, by the host.

A reported container is only looked into where its length is right, so that values made to be slow to hash or to compare
cost no more than the expected ones.
"""

import math
from collections.abc import Callable
from typing import Any

from grpo_jax.rewards.sandbox.inside.plain_data import NotPlainError, decode

_TAGS: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "z", dict: "d"}
_MAX_NUMBER_LENGTH = 1 << 16


def equals(reported: Any, expected: Any, *, tolerance: float = 0.0, from_json: bool = False) -> bool:
    """Whether tagged JSON (`plain_data.encode`) stands for a value equal to `expected`, as Python's `==` has it.

    Args:
        reported: Whatever a sandboxed process wrote; other shapes than an encoding are unequal.
        expected: Built-in values.
        tolerance: Relative and absolute, where either number is a float.
        from_json: Lists equal tuples, and keys that are numbers equal their text.
    """
    if isinstance(expected, (bool, int, float, complex)):
        return _numbers_equal(reported, expected, tolerance)
    if expected is None or isinstance(expected, str):
        return type(reported) is type(expected) and reported == expected
    if isinstance(expected, bytes):
        return reported == ["b", expected.hex()]
    items = _items(reported, expected, from_json)
    if items is None:
        return False

    def same(left: Any, right: Any) -> bool:
        return equals(left, right, tolerance=tolerance, from_json=from_json)

    if isinstance(expected, (list, tuple)):
        return all(same(left, right) for left, right in zip(items, expected, strict=True))
    if isinstance(expected, dict):
        return _dicts_equal(items, expected, same, from_json)
    try:
        return {decode(item) for item in items} == expected
    except (NotPlainError, TypeError):
        return False


def _numbers_equal(reported: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(reported, list):
        if not (len(reported) > 1 and reported[0] in ("i", "f", "c") and len(str(reported[1])) < _MAX_NUMBER_LENGTH):
            return False
        try:
            reported = decode(reported)
        except NotPlainError:
            return False
    if not isinstance(reported, (bool, int, float, complex)):
        return False
    if reported == expected:
        return True
    inexact = isinstance(reported, float) or isinstance(expected, float)
    if not tolerance or not inexact or isinstance(reported, complex) or isinstance(expected, complex):
        return False
    try:
        return math.isclose(reported, expected, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:
        return False


def _items(reported: Any, expected: Any, from_json: bool) -> list[Any] | None:
    """The parts of a reported container of the expected type and length."""
    if not (isinstance(reported, list) and len(reported) == 2 and isinstance(reported[1], list)):
        return None
    tag = _TAGS.get(type(expected))
    right_type = reported[0] == tag or (from_json and tag in ("l", "t") and reported[0] in ("l", "t"))
    return reported[1] if right_type and len(reported[1]) == len(expected) else None


def _dicts_equal(pairs: list[Any], expected: dict[Any, Any], same: Callable[[Any, Any], bool], from_json: bool) -> bool:
    try:
        found = {decode(key): value for key, value in pairs}
    except (NotPlainError, TypeError, ValueError):
        return False
    if from_json:
        found = {key if isinstance(key, str) else str(key): value for key, value in found.items()}
    return found.keys() == expected.keys() and all(same(found[key], value) for key, value in expected.items())
