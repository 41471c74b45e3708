# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which kernel decode could attend by on a device, and whether it gives the right answer there for the model's sizes.

`models/kernel_choice.py` has the rule by which it is then taken.
"""

import functools
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.attention_parts import merge_parts
from grpo_jax.models.kernel_choice import AttentionUse, choose_kernel, fault_on
from grpo_jax.parallel.kernel_platform import kernel_platform
from grpo_jax.sampling.kernels.ragged_columns import ragged_reference
from grpo_jax.sampling.ragged_attention import XLA_ATTENTION, DecodeAttention, ragged_kernel

USE = AttentionUse("decode attention", "", {"xla": "xla", "gpu": "pallas on gpu", "tpu": "pallas on tpu"})
HEAD_SIZES = (64, 128, 256)
"""Sizes of a head that both kernels take and are tested with."""
TPU_TILE = 16
"""Columns that lie together in a TPU's memory; a cache of other sizes would be copied for every call of the kernel."""
LARGEST_ERROR = {"float32": 1e-4, "bfloat16": 1e-2}
"""Of the check on the device, whose outputs lie in [-1, 1]. Wrong columns or lengths miss it a hundredfold."""


def choose_decode_attention(
    requested: Literal["auto", "xla", "pallas"], arch: Architecture, mesh: Mesh, dtype: Any, chunk_tokens: int
) -> DecodeAttention:
    """Choose how decode attends, and log it.

    Args:
        requested: `model.attention`.
        arch: The model.
        mesh: The devices, all of one kind.
        dtype: Compute dtype of the cache.
        chunk_tokens: Columns that caches grow by.

    Raises:
        ConfigError: `pallas` is asked for and cannot be had; the message says why.
    """
    device = mesh.local_devices[0]
    sizes = (arch.num_heads // arch.num_kv_heads, arch.head_size, jnp.dtype(dtype).name)
    return choose_kernel(
        USE,
        requested,
        device,
        arch.head_size,
        xla=XLA_ATTENTION,
        find=partial(_kernel_for, device, arch.head_size, chunk_tokens),
        fault=lambda how: kernel_fault(how, device, *sizes),
    )


def _kernel_for(device: jax.Device, head_size: int, chunk_tokens: int) -> tuple[DecodeAttention | None, str | None]:
    """The kernel that a device could run, or why there is none."""
    path, obstacle = kernel_platform(device)
    if path is None:
        return None, obstacle
    if head_size not in HEAD_SIZES:
        return None, f"head size {head_size} is not one of {', '.join(map(str, HEAD_SIZES))}"
    if path == "tpu" and chunk_tokens % TPU_TILE:
        return None, f"sampling.chunk_tokens={chunk_tokens} is not a multiple of {TPU_TILE}"
    return DecodeAttention(path), None


@functools.cache
def kernel_fault(how: DecodeAttention, device: jax.Device, num_rows: int, head_size: int, dtype: str) -> str | None:
    """What is wrong with a kernel on a device, or None, found by comparing it with plain XLA on a small cache.

    Args:
        how: The kernel.
        device: Where it runs.
        num_rows: Query heads that share a key-value head.
        head_size: Of the model.
        dtype: `float32` or `bfloat16`.
    """
    rng = np.random.default_rng(0)
    num_columns, start, length = 256, [0, 0, 30, 300, 7], [0, 100, 200, 400, 256]
    lanes, heads = len(start), 2
    q = rng.normal(size=(lanes, heads, num_rows, head_size)) * 2 * head_size**-0.5
    k = rng.normal(size=(lanes, heads, num_columns, head_size))
    v = rng.uniform(-1.0, 1.0, size=k.shape)
    inputs = [leaf.astype(jnp.dtype(dtype)) for leaf in (q, k, v)] + [
        np.asarray(leaf, np.int32) for leaf in (start, length)
    ]

    def error(*inputs: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            wanted = merge_parts(ragged_reference(*inputs), dtype=jnp.float32)
        return jnp.abs(merge_parts(ragged_kernel(how)(*inputs), dtype=jnp.float32) - wanted).max()

    return fault_on(device, error, inputs, LARGEST_ERROR[dtype])
