# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One part of the update's attention by the splash kernel that comes with JAX, for TPUs.

The public kernel differentiates through its own softmax alone, so the backward pass is called below it, where result
and log-sum-exp are arguments; jax 0.10 to 0.12 have it under the same name.

The project has run it in interpret mode and compiled it for TPU v4, v5e, v5p and v6e, and not run it on a TPU yet:
`choose_update_attention` compares it with XLA on the device before a run takes it.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks
from jaxtyping import Array

from grpo_jax.models.kernels.part_kernel import PartKernel, Seen

MULTIPLE = 128
"""Tokens that lie side by side in a vector register."""
BLOCKS = (512, 256, 128)
"""Queries and keys of a block, the largest that divides their number."""


@cache
def splash_attention(interpret: bool = False) -> PartKernel:
    """The kernel; `interpret` runs it without a TPU, slowly, for tests."""
    return PartKernel(partial(_forward, interpret), partial(_backward, interpret), MULTIPLE)


def _forward(interpret: bool, q: Array, k: Array, v: Array, seen: Seen) -> tuple[Array, Array]:
    kernel = _kernel(q, k, seen, interpret)

    def of_row(q: Array, k: Array, v: Array, segments: splash.SegmentIds | None) -> tuple[Array, Array]:
        out, (normaliser,) = kernel(q, k, v, segments)
        return out, normaliser

    out, normaliser = jax.vmap(of_row)(_by_head(q), _by_head(k), _by_head(v), _segments(q, k, seen))
    return _by_token(out), normaliser


def _backward(
    interpret: bool, q: Array, k: Array, v: Array, seen: Seen, out: Array, normaliser: Array, by_out: Array
) -> tuple[Array, Array, Array]:
    kernel, segments = _kernel(q, k, seen, interpret), _segments(q, k, seen)
    settings: dict[str, Any] = kernel.kwargs

    def of_row(
        q: Array, k: Array, v: Array, segments: splash.SegmentIds | None, out: Array, normaliser: Array, by_out: Array
    ) -> tuple[Array, Array, Array]:
        kept = (q, k, v, segments, None, out, normaliser, kernel.dq_mask_info, kernel.dkv_mask_info)
        return splash._splash_attention_bwd(**settings, res=kept, do=by_out)[3:6]

    q, k, v, out, by_out = (_by_head(values) for values in (q, k, v, out, by_out))
    by_q, by_k, by_v = jax.vmap(of_row)(q, k, v, segments, out, normaliser, by_out)
    return _by_token(by_q), _by_token(by_k), _by_token(by_v)


def _kernel(q: Array, k: Array, seen: Seen, interpret: bool) -> Any:
    shape, num_heads = (q.shape[1], k.shape[1]), q.shape[2]
    mask = masks.CausalMask(shape) if seen.lengths is None else masks.FullMask(shape)
    queries, keys = (next(size for size in BLOCKS if tokens % size == 0) for tokens in shape)
    blocks = splash.BlockSizes(
        block_q=queries,
        block_kv=keys,
        block_q_dkv=queries,
        block_kv_dkv=keys,
        block_q_dq=queries,
        block_kv_dq=keys,
    )
    return splash.make_splash_mha(
        masks.MultiHeadMask([mask] * num_heads),
        block_sizes=blocks,
        save_residuals=True,
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )


def _segments(q: Array, k: Array, seen: Seen) -> splash.SegmentIds | None:
    if seen.lengths is not None:
        own = jnp.zeros(q.shape[:2], jnp.int32)
        hidden = jnp.arange(k.shape[1]) >= seen.lengths[:, None]
        return splash.SegmentIds(own, hidden.astype(jnp.int32))
    return None if seen.segments is None else splash.SegmentIds(seen.segments, seen.segments)


def _by_head(values: Array) -> Array:
    return jnp.swapaxes(values, 1, 2)


def _by_token(values: Array) -> Array:
    return jnp.swapaxes(values, 1, 2)
