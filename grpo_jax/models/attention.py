# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention over dense keys, as plain XLA: softmax in float32, key-value heads never repeated in memory.

Rows are right-padded, so a causal mask alone keeps every real token from seeing padding.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Float32, Int

MASKED = -1e30
"""Score of a forbidden key: finite, so that a row with no allowed key yields numbers, not NaN."""


def causal_mask(
    query_positions: Int[Array, "... T"], key_positions: Int[Array, "... S"], window: int | None
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
    scores = _scores("btkrh,bskh->bkrts", grouped, k, scale)
    weights = jax.nn.softmax(jnp.where(mask[:, None, None], scores, MASKED), axis=-1)
    out = jnp.einsum("bkrts,bskh->btkrh", weights.astype(v.dtype), v)
    return out.reshape(q.shape)


def _scores(equation: str, q: Array, k: Array, scale: float) -> Float32[Array, "..."]:
    return jnp.einsum(equation, q * scale, k, preferred_element_type=jnp.float32)
