# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of one query a lane to a cache of ragged lengths on NVIDIA GPUs: Pallas on Triton, split over the keys.

Each program takes the query heads that share one key-value head of one lane and an equal share of the blocks that the
lane's length and start leave, so the work follows the lengths, and few lanes still fill the chip. Shares are joined
afterwards from their largest scores and sums (flash decoding, https://pytorch.org/blog/flash-decoding/).

JAX 0.12 deprecates Pallas on Triton. A release without it makes `model.attention=auto` take XLA and say so.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Float, Int32

from grpo_jax.models.attention import MASKED
from grpo_jax.models.attention_parts import AttentionPart, join_parts
from grpo_jax.sampling.kernels.ragged_columns import block_range, check_shapes, visible_columns

HEAD_SIZES = (32, 64, 128, 256)
"""Powers of two, which Triton's tiles must be, from the smallest that its matrix product takes well."""
SMALLEST_TILE = 16
"""Query rows, or columns: Triton's matrix product takes no fewer."""
LARGEST_ROWS = 64
LARGEST_BLOCK = 128
"""Columns that a program takes at a time."""
BLOCK_BYTES = 2**15
"""Keys of a block. Two blocks of keys and values are held at once, so three programs fit a multiprocessor of Hopper."""
PROGRAMS_WANTED = 512
"""About four for each of 132 multiprocessors; below this the keys are split further."""
LARGEST_SHARE = 512
"""Columns of one program: a program much longer than the others would run on when they have ended."""
MOST_SPLITS = 16


def gpu_ragged_decode(
    q: Float[Array, "B K R H"],
    k: Float[Array, "B K S H"],
    v: Float[Array, "B K S H"],
    start: Int32[Array, " B"],
    length: Int32[Array, " B"],
    *,
    num_splits: int | None = None,
    interpret: bool = False,
) -> AttentionPart:
    """Attend to the positions [start, length) of each lane; hidden columns are never used, whatever they hold.

    Args:
        q: Scaled queries by the key-value head that they read.
        k: Keys. Position p is in column p % S.
        v: Values.
        start: First position seen, of each lane.
        length: One past the last position seen; a lane with length <= start sees none.
        num_splits: Shares of the keys of a lane; None chooses by the number of programs.
        interpret: Run without a GPU, slowly, for tests.

    Returns:
        The part, float32.

    Raises:
        ValueError: Shapes or dtypes do not fit, or H is not in `HEAD_SIZES`.
    """
    check_shapes(q, k, v, start, length)
    num_lanes, num_heads, num_rows, head_size = q.shape
    num_columns = k.shape[2]
    if head_size not in HEAD_SIZES:
        raise ValueError(f"head size {head_size} is not one of {HEAD_SIZES}, which the GPU kernel takes")
    block = min(
        LARGEST_BLOCK,
        BLOCK_BYTES // (head_size * k.dtype.itemsize),
        pl.next_power_of_2(max(num_columns, SMALLEST_TILE)),
    )
    num_blocks = pl.cdiv(num_columns, block)
    rows = min(max(SMALLEST_TILE, pl.next_power_of_2(num_rows)), LARGEST_ROWS)
    row_blocks = pl.cdiv(num_rows, rows)
    pairs = num_lanes * num_heads
    splits = num_splits or _splits_for(pairs * row_blocks, num_columns, num_blocks)

    def of_lane(pair: Any, split: Any, row_block: Any) -> tuple[Any, ...]:
        del split, row_block
        return (jax.lax.div(pair, num_heads),)

    # The last block may reach beyond the cache, where loads are masked.
    keys = pl.BlockSpec((None, num_blocks * block, head_size), lambda pair, split, row_block: (pair, 0, 0))
    stats = pl.BlockSpec((None, None, rows), lambda pair, split, row_block: (split, pair, row_block))
    parts = pl.pallas_call(
        functools.partial(_kernel, num_rows=num_rows, num_columns=num_columns, block=block, num_splits=splits),
        grid=(pairs, splits, row_blocks),
        in_specs=[
            pl.BlockSpec((None, rows, head_size), lambda pair, split, row_block: (pair, row_block, 0)),
            keys,
            keys,
            pl.BlockSpec((None,), of_lane),
            pl.BlockSpec((None,), of_lane),
        ],
        out_specs=[
            pl.BlockSpec((None, None, rows, head_size), lambda pair, split, row_block: (split, pair, row_block, 0)),
            stats,
            stats,
        ],
        out_shape=[
            jax.ShapeDtypeStruct((splits, pairs, num_rows, head_size), jnp.float32),
            jax.ShapeDtypeStruct((splits, pairs, num_rows), jnp.float32),
            jax.ShapeDtypeStruct((splits, pairs, num_rows), jnp.float32),
        ],
        compiler_params=plgpu.CompilerParams(num_warps=4, num_stages=2),
        interpret=interpret,
        name="gpu_ragged_decode",
    )(
        q.reshape(pairs, num_rows, head_size),
        k.reshape(pairs, num_columns, head_size),
        v.reshape(pairs, num_columns, head_size),
        start.astype(jnp.int32),
        length.astype(jnp.int32),
    )
    shape = (num_lanes, num_heads, num_rows)
    joint = join_parts(*(AttentionPart(*(leaf[split] for leaf in parts)) for split in range(splits)))
    return AttentionPart(joint.out.reshape(*shape, head_size), joint.largest.reshape(shape), joint.total.reshape(shape))


def _splits_for(num_programs: int, num_columns: int, num_blocks: int) -> int:
    wanted = max(pl.cdiv(PROGRAMS_WANTED, num_programs), pl.cdiv(num_columns, LARGEST_SHARE))
    return min(pl.next_power_of_2(wanted), num_blocks, MOST_SPLITS)


def _kernel(
    q_ref: Any,
    k_ref: Any,
    v_ref: Any,
    start_ref: Any,
    length_ref: Any,
    out_ref: Any,
    largest_ref: Any,
    total_ref: Any,
    *,
    num_rows: int,
    num_columns: int,
    block: int,
    num_splits: int,
) -> None:
    rows, head_size = q_ref.shape
    start, length = start_ref[()], length_ref[()]
    first, count = block_range(start, length, num_columns, block)
    share = pl.cdiv(count, num_splits)
    begin = first + pl.program_id(1) * share
    end = jnp.minimum(begin + share, first + count)
    real_rows = pl.program_id(2) * rows + jnp.arange(rows) < num_rows
    q = plgpu.load(q_ref, mask=real_rows[:, None], other=0.0)

    def attend(index: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        out, largest, total = carry
        columns = index * block + jnp.arange(block)
        seen = visible_columns(columns, start, length, num_columns)
        here = pl.ds(index * block, block)
        k = plgpu.load(k_ref.at[here, :], mask=seen[:, None], other=0.0)
        scores = jnp.where(seen[None, :], _product(q, k, over=1), MASKED)
        new_largest = jnp.maximum(largest, scores.max(axis=1))
        weights = jnp.where(seen[None, :], jnp.exp(scores - new_largest[:, None]), 0.0)
        shrink = jnp.exp(largest - new_largest)
        v = plgpu.load(v_ref.at[here, :], mask=seen[:, None], other=0.0)
        out = out * shrink[:, None] + _product(weights.astype(v.dtype), v, over=0)
        return out, new_largest, total * shrink + weights.sum(axis=1)

    nothing = (
        jnp.zeros((rows, head_size), jnp.float32),
        jnp.full((rows,), MASKED, jnp.float32),
        jnp.zeros((rows,), jnp.float32),
    )
    out, largest, total = jax.lax.fori_loop(begin, end, attend, nothing)
    plgpu.store(out_ref, out, mask=real_rows[:, None])
    plgpu.store(largest_ref, largest, mask=real_rows)
    plgpu.store(total_ref, total, mask=real_rows)


def _product(a: Array, b: Array, *, over: int) -> Array:
    """Matrix product over dim 1 of `a` and dim `over` of `b`, summed in float32; float32 inputs keep all their bits."""
    return jax.lax.dot_general(
        a, b, (((1,), (over,)), ((), ())), precision=jax.lax.Precision.HIGHEST, preferred_element_type=jnp.float32
    )
