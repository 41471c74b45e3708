# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One part of the update's attention by cuDNN, for NVIDIA GPUs.

JAX's public function rounds the log-sum-exp to the queries' dtype and keeps its backward pass to itself, so this calls
the primitives below it, with the names that jax 0.10 to 0.12 have. Each device calls them for itself: they know nothing
of a mesh. Segments go in as a bias of 0 or a large negative number, [B, 1, T, T] in bfloat16; lengths as lengths.

The project has compiled this as far as the calls and has not run it on a GPU yet: `pytest -m accelerator` does, and
`choose_update_attention` compares it with XLA on the device before a run takes it.
"""

import inspect
from typing import Any

import jax.numpy as jnp
from jax._src.cudnn import fused_attention_stablehlo as cudnn
from jaxtyping import Array

from grpo_jax.models.kernels.part_kernel import PartKernel, Seen

MULTIPLE = 8
"""With a bias cuDNN wants even sizes; of eight, rows of the bias are aligned."""


def forward(q: Array, k: Array, v: Array, seen: Seen) -> tuple[Array, Array]:
    """See `PartForward`; bfloat16 or float16."""
    operands, settings = _mask(q, seen)
    out, normaliser = cudnn._dot_product_attention_fwd_p.bind(q, k, v, *operands, **settings, is_training=True)
    return out, normaliser


def backward(
    q: Array, k: Array, v: Array, seen: Seen, out: Array, normaliser: Array, by_out: Array
) -> tuple[Array, Array, Array]:
    """See `PartBackward`."""
    operands, settings = _mask(q, seen)
    by_q, by_k, by_v = cudnn._dot_product_attention_bwd_p.bind(q, k, v, *operands, normaliser, out, by_out, **settings)
    return by_q, by_k, by_v


CUDNN = PartKernel(forward, backward, MULTIPLE)


def _mask(q: Array, seen: Seen) -> tuple[list[Array], dict[str, Any]]:
    """Operands after the values: bias, lengths of queries and keys, and what is not used; and the static settings."""
    unused = jnp.zeros(0, q.dtype)
    operands, mask = [unused] * 7, cudnn.MaskType.CAUSAL
    if seen.lengths is not None:
        mask = cudnn.MaskType.PADDING
        operands[1:3] = jnp.full(q.shape[0], q.shape[1], jnp.int32), seen.lengths.astype(jnp.int32)
    elif seen.segments is not None:
        same = seen.segments[:, None, :, None] == seen.segments[:, None, None, :]
        operands[0] = jnp.where(same, jnp.zeros((), q.dtype), cudnn.get_large_negative_number(q.dtype))
    settings = {
        "scale": 1.0,
        "seed": 42,
        "dropout_rate": 0.0,
        # A bias, and no gradient of it.
        "variadic_args": (seen.lengths is None and seen.segments is not None, False),
        "mask_type": mask,
        "layout": cudnn.AttentionLayout.BTNH.value,
        "sliding_window_length": None,
    }
    if "score_mod_jaxpr" in inspect.signature(cudnn._dot_product_attention_fwd_cuda_lowering).parameters:
        settings |= {"score_mod_name": None, "score_mod_jaxpr": None}
    return operands, settings
