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


def attend_shared_prompt(
    q: Float[Array, "B R C N H"],
    prompt_k: Float[Array, "B P K H"],
    prompt_v: Float[Array, "B P K H"],
    own_k: Float[Array, "B R C K H"],
    own_v: Float[Array, "B R C K H"],
    prompt_mask: Bool[Array, "B C P"],
    own_mask: Bool[Array, "C C"],
    scale: float,
) -> Float[Array, "B R C N H"]:
    """Attention of R responses to their one prompt and, each, to itself, under one softmax.

    Keys seen by token 1 of response 0 (x) in a row of prompt p0 p1 and two responses:

        p0 p1 | r0:0 r0:1 r0:2 | r1:0 r1:1 r1:2
         x  x |   x    x    .  |   .    .    .
    """
    num_prompt = prompt_k.shape[1]
    grouped = group_queries(q, own_k.shape[-2])
    to_prompt = _scores("brckgh,bpkh->brkgcp", grouped, prompt_k, scale)
    to_own = _scores("brckgh,brskh->brkgcs", grouped, own_k, scale)
    scores = jnp.concatenate(
        [
            jnp.where(prompt_mask[:, None, None, None], to_prompt, MASKED),
            jnp.where(own_mask, to_own, MASKED),
        ],
        axis=-1,
    )
    weights = jax.nn.softmax(scores, axis=-1).astype(own_v.dtype)
    out = jnp.einsum("brkgcp,bpkh->brckgh", weights[..., :num_prompt], prompt_v)
    out += jnp.einsum("brkgcs,brskh->brckgh", weights[..., num_prompt:], own_v)
    return out.reshape(q.shape)


def _scores(equation: str, q: Array, k: Array, scale: float) -> Float32[Array, "..."]:
    return jnp.einsum(equation, q * scale, k, preferred_element_type=jnp.float32)
