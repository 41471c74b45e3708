# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Plain data across a sandbox's border, compared as Python compares the values themselves."""

import collections
import enum
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.rewards.code_comparison import equals
from grpo_jax.rewards.sandbox.inside.plain_data import NotPlainError, decode, encode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=9)
KEYS = st.booleans() | st.integers() | st.text(max_size=5) | st.tuples(st.integers(), st.text(max_size=2))
VALUES = st.recursive(
    SCALARS | st.complex_numbers(allow_nan=False) | st.frozensets(KEYS, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def through(value):
    """As it arrives on the other side."""
    return json.loads(json.dumps(encode(value)))


@given(VALUES)
def test_values_cross_unchanged(value):
    there = decode(through(value))
    assert there == value
    assert type(there) is type(value)
    assert equals(through(value), value)


@given(VALUES, VALUES)
def test_equality_is_pythons(left, right):
    assert equals(through(left), right) == (left == right)


def test_subclasses_are_reduced_to_their_base():
    class Liar(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    class Level(enum.IntEnum):
        LOW = 1

    pair = collections.namedtuple("pair", "a b")(1, 2)
    for value, expected in ((Liar(3), 3), (Level.LOW, 1), (pair, (1, 2)), (collections.Counter("aa"), {"a": 2})):
        assert equals(through(value), expected)
    assert not equals(through(Liar(3)), 4)


@pytest.mark.parametrize("value", [object(), lambda: 0, iter([1]), int, range(3)])
def test_what_is_not_plain_equals_nothing(value):
    assert not any(equals(through(value), expected) for expected in (None, 0, "", [], {}, set(), [1], True))
    with pytest.raises(NotPlainError):
        decode(through(value))


@pytest.mark.parametrize(
    "claim",
    [
        ["l"],
        ["l", 3],
        ["x", []],
        ["d", [[1]]],
        ["i", "zz"],
        ["i", "9" * 10**6],
        ["f", "x"],
        ["c", [], []],
        {"a": 1},
        [],
    ],
)
def test_malformed_claims_are_unequal_and_raise_nothing(claim):
    for expected in (None, 0, 1.5, "x", b"x", [1], (1,), {1}, {"a": 1}, 2**70, 1j):
        assert not equals(claim, expected)


def test_tolerance_holds_for_floats_at_any_depth_and_not_for_integers():
    assert equals(through([1.0000001, {"a": 2}]), [1, {"a": 2.0000001}], tolerance=1e-6)
    assert not equals(through([1.0000001]), [1.0])
    assert not equals(through(1_000_000_001), 1_000_000_000, tolerance=1e-6)
    assert not equals(through(10**400), math.pi, tolerance=1e-6)


def test_values_from_json_have_no_tuples():
    assert equals(through([(1, 2)]), [[1, 2]], from_json=True)
    assert not equals(through([(1, 2)]), [[1, 2]])
    assert equals(through({1: "a"}), {"1": "a"}, from_json=True)


def test_many_colliding_keys_are_unequal_to_few():
    colliding = through({n * (2**61 - 1): None for n in range(4000)})
    assert not equals(colliding, {1: None})
    assert not equals(["s", [pair[0] for pair in colliding[1]]], {1, 2})


def test_depth_is_bounded():
    items: list = []
    for _ in range(1000):
        items = [items]
    with pytest.raises(NotPlainError):
        encode(items)
