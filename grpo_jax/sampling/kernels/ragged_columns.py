# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which columns of a lane's cache hold keys that its query sees, for a cache that may have wrapped around.

A cache of S columns holds position p in column p % S, so a column holds the latest of its positions below the lane's
length. A sliding layer keeps its last S positions so; elsewhere the length never exceeds S and columns are positions.

    S = 4, length 6, start 3    column     0  1  2  3
                                position   4  5  2  3
                                seen       x  x  .  x
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int32

from grpo_jax.models.attention_parts import AttentionPart, attend_part


def visible_columns(
    columns: Int[Array, " *S"], start: Int32[Array, "*#S"], length: Int32[Array, "*#S"], num_columns: int
) -> Bool[Array, " *S"]:
    """True where a column holds a position in [start, length); columns from `num_columns` on hold none."""
    last = length - 1
    positions = jnp.where(length > num_columns, last - jax.lax.rem(jnp.abs(last - columns), num_columns), columns)
    return (positions >= start) & (positions < length) & (columns < num_columns)


def block_range(
    start: Int32[Array, "*B"], length: Int32[Array, "*B"], num_columns: int, block: int
) -> tuple[Int32[Array, "*B"], Int32[Array, "*B"]]:
    """First block of columns that a lane reads, and the number of blocks: 0 where it sees no key."""
    wrapped = length > num_columns
    first = jnp.where(wrapped, 0, jnp.maximum(start, 0) // block)
    past = jnp.where(wrapped, -(-num_columns // block), (length + block - 1) // block)
    return first, jnp.where(length > jnp.maximum(start, 0), past - first, 0)


def check_shapes(q: Array, k: Array, v: Array, start: Array, length: Array) -> None:
    """Check what both kernels take.

    Raises:
        ValueError: Shapes or dtypes do not fit; the message names them.
    """
    if k.shape != v.shape or q.shape[:2] != k.shape[:2] or q.shape[3] != k.shape[3]:
        raise ValueError(f"queries {q.shape} [B, K, R, H], keys {k.shape} and values {v.shape} [B, K, S, H] do not fit")
    if start.shape != q.shape[:1] or length.shape != q.shape[:1]:
        raise ValueError(f"start {start.shape} and length {length.shape} must have one entry for each of {q.shape[0]}")
    if not q.dtype == k.dtype == v.dtype or q.dtype not in (jnp.float32, jnp.bfloat16):
        raise ValueError(f"queries {q.dtype}, keys {k.dtype}, values {v.dtype} must all be float32 or all be bfloat16")


def ragged_reference(
    q: Float[Array, "B K R H"],
    k: Float[Array, "B K S H"],
    v: Float[Array, "B K S H"],
    start: Int32[Array, " B"],
    length: Int32[Array, " B"],
) -> AttentionPart:
    """What both kernels compute, as plain XLA that reads the whole cache of every lane."""
    num_columns = k.shape[2]
    visible = visible_columns(jnp.arange(num_columns), start[:, None], length[:, None], num_columns)
    return attend_part(q, k, v, visible[:, None, None])
