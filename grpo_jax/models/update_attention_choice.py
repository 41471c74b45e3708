# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which kernel the update could attend by on a device, and whether its answer and gradients there are right.

`kernel_choice.py` has the rule by which it is then taken.
"""

import functools
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.kernel_attention import XLA_UPDATE_ATTENTION, UpdateAttention, attend_lines_by_kernel
from grpo_jax.models.kernel_choice import AttentionUse, choose_kernel, fault_on
from grpo_jax.models.partwise_attention import attend_lines
from grpo_jax.parallel.kernel_platform import kernel_platform

USE = AttentionUse("update attention", " in the update", {"xla": "xla", "gpu": "cuDNN", "tpu": "splash on tpu"})
TPU_HEAD_SIZES = (64, 128, 256)
LARGEST_GPU_HEAD = {True: 256, False: 128}
"""Of cuDNN's attention, on GPUs from Hopper on and on older ones."""
HOPPER = 9.0
LARGEST_ERROR = {"float32": 2e-3, "bfloat16": 3e-2}
"""Of the check on the device: norm of the difference over that of the right array. A wrong mask misses it tenfold.
In float32 a TPU multiplies in fewer bits where the kernel leaves the precision to its default."""


def choose_update_attention(
    requested: Literal["auto", "xla", "pallas"], arch: Architecture, mesh: Mesh, dtype: Any, longest: int
) -> UpdateAttention:
    """Choose how the update attends, and log it.

    Args:
        requested: `model.attention`.
        arch: The model.
        mesh: The devices, all of one kind.
        dtype: Compute dtype.
        longest: Tokens of the longest prompt and completion together.

    Raises:
        ConfigError: `pallas` is asked for and cannot be had; the message says why.
    """
    device, dtype_name = mesh.local_devices[0], jnp.dtype(dtype).name
    how = choose_kernel(
        USE,
        requested,
        device,
        arch.head_size,
        xla=XLA_UPDATE_ATTENTION,
        find=partial(_kernel_for, device, arch, dtype_name, longest),
        fault=lambda how: kernel_fault(how, device, arch.num_heads // arch.num_kv_heads, arch.head_size, dtype_name),
    )
    return how if how.path == "xla" else replace(how, mesh=mesh)


def _kernel_for(
    device: jax.Device, arch: Architecture, dtype: str, longest: int
) -> tuple[UpdateAttention | None, str | None]:
    """The kernel that a device could run, or why there is none."""
    path, obstacle = kernel_platform(device)
    if path is None:
        return None, obstacle
    size, window = arch.head_size, arch.sliding_window
    if path == "gpu":
        most = LARGEST_GPU_HEAD[float(device.compute_capability) >= HOPPER]
        if size > most or size % 8:
            return None, f"head size {size} is above {most} or no multiple of 8, which cuDNN wants on this GPU"
        if dtype != "bfloat16":
            return None, f"cuDNN has no attention in {dtype}; it takes model.dtype=bfloat16"
    elif size not in TPU_HEAD_SIZES:
        return None, f"head size {size} is not one of {', '.join(map(str, TPU_HEAD_SIZES))}"
    if any(arch.sliding_layers) and window is not None and window < longest:
        return None, f"the sliding window of {window} tokens is below the {longest} of the longest row"
    return UpdateAttention(path), None


@functools.cache
def kernel_fault(how: UpdateAttention, device: jax.Device, num_rows: int, head_size: int, dtype: str) -> str | None:
    """What is wrong with a kernel on a device, or None: its result and gradients beside plain XLA's on a small row.

    Args:
        how: The kernel, without a mesh.
        device: Where it runs.
        num_rows: Query heads that share a key-value head.
        head_size: Of the model.
        dtype: `float32` or `bfloat16`.
    """
    rng = np.random.default_rng(0)
    rows, lines, tokens, heads, num_prompt = 2, 2, 136, 2, 160
    lengths: Any = np.array([160, 33], np.int32)
    scale = head_size**-0.5
    # Line 0 of each row holds two responses and padding, line 1 one that fills it.
    segments: Any = np.zeros((rows, lines, tokens), np.int32)
    segments[:, 0, 50:], segments[:, 0, 130:], segments[:, 1] = 1, -1, 2
    starts = np.where(segments == 1, 50, 0)
    positions = (lengths[:, None, None] + np.arange(tokens) - starts).astype(np.int32)

    def array(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(jnp.dtype(dtype))

    own, real = (rows, lines, tokens), (segments >= 0)[..., None, None]
    inputs = (
        array(*own, heads * num_rows, head_size),
        array(*own, heads, head_size),
        array(*own, heads, head_size),
        array(rows, num_prompt, heads, head_size),
        array(rows, num_prompt, heads, head_size),
    )
    direction = array(*own, heads * num_rows, head_size) * real.astype(jnp.dtype(dtype))

    def of_kernel(q: jax.Array, k: jax.Array, v: jax.Array, prompt_k: jax.Array, prompt_v: jax.Array) -> jax.Array:
        return attend_lines_by_kernel(how, q, k, v, segments, scale, (prompt_k, prompt_v, lengths))

    def of_xla(q: jax.Array, k: jax.Array, v: jax.Array, prompt_k: jax.Array, prompt_v: jax.Array) -> jax.Array:
        q, k, v, prompt_k, prompt_v = (values.astype(jnp.float32) for values in (q, k, v, prompt_k, prompt_v))
        with jax.default_matmul_precision("highest"):
            prompt = (prompt_k, prompt_v, jnp.asarray(lengths))
            return attend_lines(q, k, v, positions, segments, scale, None, prompt)

    def errors(inputs: tuple[jax.Array, ...], direction: jax.Array) -> jax.Array:
        found, pull = jax.vjp(of_kernel, *inputs)
        wanted, pull_wanted = jax.vjp(of_xla, *inputs)
        ours = (jnp.where(real, found, 0), *pull(direction))
        right = (jnp.where(real, wanted, 0), *pull_wanted(direction.astype(jnp.float32)))
        gaps = [
            jnp.linalg.norm(a.astype(jnp.float32) - b.astype(jnp.float32)) / jnp.linalg.norm(b.astype(jnp.float32))
            for a, b in zip(ours, right, strict=True)
        ]
        return jnp.stack(gaps).max()

    return fault_on(device, errors, (inputs, direction), LARGEST_ERROR[dtype])
