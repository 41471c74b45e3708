# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of one query a lane to a cache of ragged lengths on TPU: Pallas on Mosaic, a grid step for each block seen.

The grid is as long as the lanes' blocks together. Scalars fetched ahead say which lane and block a step takes, so the
pipeline streams the keys of one lane after another without a gap, and blocks that no lane sees cost nothing:

    lengths 3, 0, 5 in blocks of 2    lane   0  0  1  2  2  2
                                      block  0  1  0  0  1  2    a lane without keys takes one step, which writes zeros
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float, Int32

from grpo_jax.models.attention import MASKED
from grpo_jax.models.attention_parts import AttentionPart
from grpo_jax.sampling.kernels.ragged_columns import block_range, check_shapes, visible_columns

HEAD_SIZES = (64, 128, 256)
BLOCKS = (128, 256, 512, 1024)
"""Columns of one step, the first of which the table of steps fits. Larger blocks read more beyond a lane's end."""
MOST_STEPS = 2**15
"""Entries of the table of steps: at 8 bytes each, a quarter of the scalar memory of a core."""
STEP_BYTES = 2**21
"""Keys and values of one step; twice this is held, since the next step is fetched meanwhile."""
LANE_WIDTH = 128
"""Width of a vector register; the two numbers that a row reports travel in one of this width."""


def tpu_ragged_decode(
    q: Float[Array, "B K R H"],
    k: Float[Array, "B K S H"],
    v: Float[Array, "B K S H"],
    start: Int32[Array, " B"],
    length: Int32[Array, " B"],
    *,
    interpret: bool = False,
) -> AttentionPart:
    """Attend to the positions [start, length) of each lane; hidden columns are never used, whatever they hold.

    Args:
        q: Scaled queries by the key-value head that they read.
        k: Keys. Position p is in column p % S.
        v: Values.
        start: First position seen, of each lane.
        length: One past the last position seen; a lane with length <= start sees none.
        interpret: Run without a TPU, slowly, for tests.

    Returns:
        The part, float32.

    Raises:
        ValueError: Shapes or dtypes do not fit, H is not in `HEAD_SIZES`, or the cache is too large for one call.
    """
    check_shapes(q, k, v, start, length)
    num_lanes, num_heads, num_rows, head_size = q.shape
    num_columns = k.shape[2]
    if head_size not in HEAD_SIZES:
        raise ValueError(f"head size {head_size} is not one of {HEAD_SIZES}, which the TPU kernel takes")
    block = _block_for(num_lanes, num_columns)
    heads = _heads_a_step(num_heads, 2 * block * head_size * k.dtype.itemsize)
    first, count = block_range(start, length, num_columns, block)
    lane_of, block_of, num_steps = _steps(first, jnp.maximum(count, 1), pl.cdiv(num_columns, block))

    def lane_block(head: Any, step: Any, lane_of: Any, *_: Any) -> tuple[Any, ...]:
        return lane_of[step], head, 0, 0

    keys = pl.BlockSpec(
        (None, heads, block, head_size),
        lambda head, step, lane_of, block_of, *_: (lane_of[step], head, block_of[step], 0),
    )
    out, stats = pl.pallas_call(
        functools.partial(_kernel, num_columns=num_columns, block=block),
        grid_spec=pltpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=5,
            grid=(num_heads // heads, num_steps),
            in_specs=[pl.BlockSpec((None, heads, num_rows, head_size), lane_block), keys, keys],
            out_specs=[
                pl.BlockSpec((None, heads, num_rows, head_size), lane_block),
                pl.BlockSpec((None, heads, num_rows, LANE_WIDTH), lane_block),
            ],
            scratch_shapes=[pltpu.VMEM((heads, num_rows, LANE_WIDTH), jnp.float32)] * 2,
        ),
        out_shape=[
            jax.ShapeDtypeStruct(q.shape, jnp.float32),
            jax.ShapeDtypeStruct((num_lanes, num_heads, num_rows, LANE_WIDTH), jnp.float32),
        ],
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "arbitrary")),
        interpret=interpret,
        name="tpu_ragged_decode",
    )(lane_of, block_of, first + jnp.maximum(count, 1) - 1, start.astype(jnp.int32), length.astype(jnp.int32), q, k, v)
    return AttentionPart(out, stats[..., 0], stats[..., 1])


def _block_for(num_lanes: int, num_columns: int) -> int:
    for largest in BLOCKS:
        block = min(largest, num_columns)
        if num_lanes * pl.cdiv(num_columns, block) <= MOST_STEPS:
            return block
    raise ValueError(
        f"{num_lanes} lanes of {num_columns} columns are more than {MOST_STEPS} blocks of at most {BLOCKS[-1]} "
        f"columns; use fewer lanes a device"
    )


def _heads_a_step(num_heads: int, head_bytes: int) -> int:
    """Largest divisor of the heads whose keys and values fit a step."""
    fitting = [
        heads for heads in range(1, num_heads + 1) if num_heads % heads == 0 and heads * head_bytes <= STEP_BYTES
    ]
    return max(fitting, default=1)


def _steps(
    first: Int32[Array, " B"], count: Int32[Array, " B"], most: int
) -> tuple[Int32[Array, " steps"], Int32[Array, " steps"], Int32[Array, ""]]:
    """Lane and block of every step, lanes in order, and the number of steps; entries beyond it are not used."""
    past = jnp.cumsum(count)
    step = jnp.arange(first.shape[0] * most)
    # Sums over a mask instead of look-ups, which are slow for scalars; the layers of a model share the result.
    mine = (step[:, None] >= past - count) & (step[:, None] < past)
    lane = jnp.sum(mine * jnp.arange(first.shape[0]), axis=1)
    block = jnp.sum(mine * (step[:, None] + first - (past - count)), axis=1)
    return lane.astype(jnp.int32), block.astype(jnp.int32), past[-1].astype(jnp.int32)


def _kernel(
    lane_of: Any,
    block_of: Any,
    last_block: Any,
    start_ref: Any,
    length_ref: Any,
    q_ref: Any,
    k_ref: Any,
    v_ref: Any,
    out_ref: Any,
    stats_ref: Any,
    largest_ref: Any,
    total_ref: Any,
    *,
    num_columns: int,
    block: int,
) -> None:
    step = pl.program_id(1)
    lane, here = lane_of[step], block_of[step]
    opens = (step == 0) | (lane_of[jnp.maximum(step - 1, 0)] != lane)

    @pl.when(opens)
    def _() -> None:
        out_ref[...] = jnp.zeros_like(out_ref)
        largest_ref[...] = jnp.full_like(largest_ref, MASKED)
        total_ref[...] = jnp.zeros_like(total_ref)

    num_heads, num_rows, head_size = q_ref.shape

    def seen(shape: tuple[int, int], dim: int) -> Array:
        columns = here * block + jax.lax.broadcasted_iota(jnp.int32, shape, dim)
        return visible_columns(columns, start_ref[lane], length_ref[lane], num_columns)

    seen_by_rows, seen_values = seen((num_rows, block), 1), seen((block, head_size), 0)
    for head in range(num_heads):
        scores = jnp.where(seen_by_rows, _product(q_ref[head], k_ref[head], over=1), MASKED)
        largest = largest_ref[head]
        new_largest = jnp.maximum(largest, scores.max(axis=1, keepdims=True))
        weights = jnp.where(seen_by_rows, jnp.exp(scores - new_largest[:, :1]), 0.0)
        shrink = jnp.exp(largest - new_largest)
        # A hidden value times a weight of zero would still be NaN where the cache holds NaN or infinity.
        v = jnp.where(seen_values, v_ref[head], jnp.zeros((), v_ref.dtype))
        out_ref[head] = out_ref[head] * shrink[:, :1] + _product(weights.astype(v.dtype), v, over=0)
        total_ref[head] = total_ref[head] * shrink + weights.sum(axis=1, keepdims=True)
        largest_ref[head] = new_largest

    @pl.when(here == last_block[lane])
    def _() -> None:
        first_entry = jax.lax.broadcasted_iota(jnp.int32, stats_ref.shape, 2) == 0
        stats_ref[...] = jnp.where(first_entry, largest_ref[...], total_ref[...])


def _product(a: Array, b: Array, *, over: int) -> Array:
    """Matrix product over dim 1 of `a` and dim `over` of `b`, summed in float32; float32 inputs keep all their bits."""
    precision = jax.lax.Precision.HIGHEST if a.dtype == jnp.float32 else None
    return jax.lax.dot_general(
        a, b, (((1,), (over,)), ((), ())), precision=precision, preferred_element_type=jnp.float32
    )
