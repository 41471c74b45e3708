# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which attention decode takes on a device: the choice behind `model.attention`, said in one line of the log.

A kernel is taken only after it has given the right answer on this very device for the model's sizes. So a driver, a
compiler or a chip that it does not suit costs speed and a line in the log, never a wrong token.
"""

import functools
import logging
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.attention_parts import merge_parts
from grpo_jax.parallel.kernel_platform import kernel_platform
from grpo_jax.parallel.processes import exchange
from grpo_jax.records import ConfigError
from grpo_jax.sampling.kernels.ragged_columns import ragged_reference
from grpo_jax.sampling.ragged_attention import XLA_ATTENTION, DecodeAttention, ragged_kernel

logger = logging.getLogger(__name__)

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
    if requested == "xla":
        return _say(XLA_ATTENTION, "model.attention=xla")
    how, obstacle = _kernel_for(device, arch.head_size, chunk_tokens)
    if how is not None:
        obstacle = kernel_fault(how, device, arch.num_heads // arch.num_kv_heads, arch.head_size, jnp.dtype(dtype).name)
        # One program runs on all processes' devices, so what one of them cannot have none can.
        obstacle = next((found for found in exchange(obstacle) if found is not None), None)
        if obstacle is None:
            return _say(how, f"model.attention={requested}, {device.device_kind}, head size {arch.head_size}")
    if requested == "pallas":
        raise ConfigError(f"model.attention=pallas cannot be had: {obstacle}; set model.attention=auto or xla")
    # On a chip that kernels are written for, their absence is worth a warning, which shows without a log too.
    level = logging.WARNING if device.platform in ("gpu", "tpu") else logging.INFO
    return _say(XLA_ATTENTION, f"model.attention=auto, {obstacle}", level)


def _say(how: DecodeAttention, why: str, level: int = logging.INFO) -> DecodeAttention:
    name = "xla" if how.path == "xla" else f"pallas on {how.path}"
    logger.log(level, "decode attention: %s (%s)", name, why)
    return how


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

    try:
        found = float(jax.jit(error)(*jax.device_put(inputs, device)))
    except Exception as failure:  # noqa: BLE001 whatever a compiler or driver raises, the kernel is told of and not used
        message = " ".join(str(failure).split())[:300]
        return f"the kernel fails on {device.device_kind}: {type(failure).__name__}: {message}"
    if not found <= LARGEST_ERROR[dtype]:
        return f"the kernel is wrong by {found:.2g} on {device.device_kind}, more than {LARGEST_ERROR[dtype]:.0e}"
    return None
