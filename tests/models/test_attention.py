# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention over dense keys against a loop in NumPy, and its memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.models import attention
from grpo_jax.models.attention import NEVER, SCORE_BYTES, attend_at

SCALE = 0.3


def by_loop(q, k, v, query_positions, key_positions, window):
    """Softmax over the keys that a query may see, one query and head at a time."""
    out = np.zeros_like(q)
    for row, query, head in np.ndindex(*q.shape[:3]):
        distance = int(query_positions[row, query]) - key_positions[row].astype(np.int64)
        seen = np.flatnonzero((distance >= 0) & (distance < (window or np.inf)))
        kv_head = head * k.shape[2] // q.shape[2]
        scores = np.exp(SCALE * k[row, seen, kv_head] @ q[row, query, head])
        out[row, query, head] = scores @ v[row, seen, kv_head] / scores.sum()
    return out


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("tile", [1, 3, 4, 100])
def test_tiles_of_queries_attend_as_one_query_at_a_time(monkeypatch, tile, window):
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 7, 4, 5)), rng.normal(size=(2, 9, 2, 5)), rng.normal(size=(2, 9, 2, 5))
    # Two keys before the queries' own, of which the second row has one.
    query_positions = np.array([np.arange(2, 9), np.arange(1, 8)])
    key_positions = np.array([np.arange(9), [0, NEVER, *range(1, 8)]])
    monkeypatch.setattr(attention, "SCORE_BYTES", tile * 4 * 2 * 4 * 9)
    found = attend_at(*map(jnp.float32, (q, k, v)), query_positions, key_positions, window, SCALE)
    expected = by_loop(q, k, v, query_positions, key_positions, window)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_long_rows_do_not_hold_all_of_their_scores():
    def shape(*sizes, dtype=jnp.bfloat16):
        return jax.ShapeDtypeStruct(sizes, dtype)

    positions = shape(2, 8192, dtype=jnp.int32)
    program = jax.jit(lambda q, k, v, at: attend_at(q, k, v, at, at, None, SCALE))
    compiled = program.lower(shape(2, 8192, 16, 64), *[shape(2, 8192, 8, 64)] * 2, positions).compile()
    whole = 4 * 2 * 16 * 8192**2
    assert whole > 30 * SCORE_BYTES
    memory = compiled.memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 4 * SCORE_BYTES
