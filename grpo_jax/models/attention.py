# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention over dense keys, as plain XLA: softmax in float32, key-value heads never repeated in memory.

Rows are right-padded, so a causal mask alone keeps every real token from seeing padding.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

MASKED = -1e30
"""Score of a forbidden key: finite, so that a row with no allowed key yields numbers, not NaN."""
NEVER = 2**31 - 1
"""Position of a key that no query may see."""
SCORE_BYTES = 2**28
"""Of a device, that the scores of `attend_at` take at most: those of two rows of 8,192 tokens would take 8 GiB."""


def causal_mask(
    query_positions: Int[Array, "... T"], key_positions: Int[Array, "... S"], window: Int[Array, ""] | int | None
) -> Bool[Array, "... T S"]:
    """True where a query may see a key: not later, and less than `window` tokens back where a window is given."""
    distance = query_positions[..., :, None] - key_positions[..., None, :]
    allowed = distance >= 0
    return allowed if window is None else allowed & (distance < window)


def group_queries(q: Float[Array, "... N H"], num_kv_heads: int) -> Float[Array, "... K R H"]:
    """Split query heads by the key-value head they read: N = K * R."""
    return q.reshape(*q.shape[:-2], num_kv_heads, q.shape[-2] // num_kv_heads, q.shape[-1])


def attend(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B S K H"],
    v: Float[Array, "B S K H"],
    mask: Bool[Array, "#B T S"],
    scale: float,
) -> Float[Array, "B T N H"]:
    """Grouped-query attention of whole rows."""
    grouped = group_queries(q, k.shape[-2])
    scores = jnp.einsum("btkrh,bskh->bkrts", grouped * scale, k, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask[:, None, None], scores, MASKED), axis=-1)
    out = jnp.einsum("bkrts,bskh->btkrh", weights.astype(v.dtype), v)
    return out.reshape(q.shape)


def attend_at(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B S K H"],
    v: Float[Array, "B S K H"],
    query_positions: Int[Array, "#B T"],
    key_positions: Int[Array, "#B S"],
    window: int | None,
    scale: float,
    *,
    num_shards: int = 1,
) -> Float[Array, "B T N H"]:
    """Causal attention by positions, in tiles of queries where all scores at once would exceed `SCORE_BYTES`.

    Args:
        q: Rotated queries.
        k: Rotated keys.
        v: Values.
        query_positions: In the row's text.
        key_positions: Likewise; `NEVER` hides a key.
        window: As in `causal_mask`.
        scale: Of the scores.
        num_shards: Devices that the rows are split over.
    """
    num_rows, num_queries, num_heads, _ = q.shape
    tile = max(1, SCORE_BYTES * num_shards // (4 * num_rows * num_heads * k.shape[1]))
    if tile >= num_queries:
        return attend(q, k, v, causal_mask(query_positions, key_positions, window), scale)

    def attend_one(query: tuple[Array, Array]) -> Array:
        heads, position = query
        return attend(heads[:, None], k, v, causal_mask(position[:, None], key_positions, window), scale)[:, 0]

    queries = (jnp.moveaxis(q, 1, 0), jnp.moveaxis(query_positions, 1, 0))
    return jnp.moveaxis(jax.lax.map(attend_one, queries, batch_size=tile), 0, 1)
