# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_jax.models.attention import MASKED
from grpo_jax.models.attention_parts import AttentionPart, attend_part, join_parts, merge_parts

ROWS, KEYS, HEAD = 3, 12, 8


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = ((2, ROWS, HEAD), (2, KEYS, HEAD), (2, KEYS, HEAD))
    q, k, v = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return q * 3, k, v


def softmax_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Float64, over all keys at once; zeros where none is visible."""
    scores = q.astype(np.float64) @ k.astype(np.float64).swapaxes(-1, -2)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True)) * visible[..., None, :]
    total = weights.sum(axis=-1, keepdims=True)
    return weights @ v.astype(np.float64) / np.where(total > 0, total, 1)


def parts_of(q, k, v, visible, cuts) -> list[AttentionPart]:
    edges = [0, *sorted(cuts), KEYS]
    spans = [slice(low, high) for low, high in itertools.pairwise(edges) if low < high]
    return [attend_part(q, k[:, span], v[:, span], jnp.asarray(visible[:, None, span])) for span in spans]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000),
    st.lists(st.booleans(), min_size=2 * KEYS, max_size=2 * KEYS),
    st.sets(st.sampled_from((3, 4, 8)), max_size=3),
)
def test_parts_merge_to_the_softmax_over_all_keys(seed, visible, cuts):
    q, k, v = draw(seed)
    visible = np.array(visible).reshape(2, KEYS)
    found = merge_parts(*parts_of(q, k, v, visible, cuts), dtype=jnp.float32)
    np.testing.assert_allclose(found, softmax_attention(q, k, v, visible), atol=3e-6)


def test_order_and_grouping_of_parts_do_not_matter():
    q, k, v = draw(1)
    a, b, c = parts_of(q, k, v, np.ones((2, KEYS), bool), (4, 8))
    wanted = merge_parts(a, b, c, dtype=jnp.float32)
    for found in (
        merge_parts(c, a, b, dtype=jnp.float32),
        merge_parts(join_parts(a, b), c, dtype=jnp.float32),
        merge_parts(a, join_parts(c, b), dtype=jnp.float32),
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_an_empty_part_changes_no_bit():
    q, k, v = draw(2)
    part = attend_part(q, k, v, jnp.ones((2, 1, KEYS), bool))
    empty = attend_part(q, k, v, jnp.zeros((2, 1, KEYS), bool))
    assert not empty.out.any()
    assert not empty.total.any()
    assert (empty.largest == MASKED).all()
    np.testing.assert_array_equal(merge_parts(part, empty, dtype=jnp.float32), merge_parts(part, dtype=jnp.float32))


def test_no_visible_key_anywhere_gives_zeros():
    q, k, v = draw(3)
    empty = attend_part(q, k, v, jnp.zeros((2, 1, KEYS), bool))
    assert not np.asarray(merge_parts(empty, empty, dtype=jnp.float32)).any()


@pytest.mark.parametrize("offset", [-80.0, 80.0])
def test_parts_far_apart_in_score_stay_finite_and_exact(offset):
    q, k, v = draw(4)
    k[:, :4] += offset * q[:, :1] / np.square(q[:, :1]).sum(axis=-1, keepdims=True)
    visible = np.ones((2, KEYS), bool)
    found = merge_parts(*parts_of(q, k, v, visible, (4,)), dtype=jnp.float32)
    np.testing.assert_allclose(found, softmax_attention(q, k, v, visible), atol=3e-5)


def test_result_has_the_dtype_asked_for():
    q, k, v = draw(5)
    part = attend_part(q, k, v, jnp.ones((2, 1, KEYS), bool))
    assert part.out.dtype == jnp.float32
    assert merge_parts(part, dtype=jnp.bfloat16).dtype == jnp.bfloat16
