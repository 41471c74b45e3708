# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of the update by a device's kernel against plain XLA's, values and gradients."""

import dataclasses
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from grpo_jax.config import ParallelConfig
from grpo_jax.models.kernel_attention import UpdateAttention, attend_lines_by_kernel
from grpo_jax.models.partwise_attention import attend_lines
from grpo_jax.models.update_attention_choice import kernel_fault
from grpo_jax.parallel.mesh import make_mesh

SPLASH = UpdateAttention("tpu", interpret=True)
B, J, C, P, N, K, H = 2, 2, 10, 12, 4, 2, 64
SCALE = 0.3
LENGTHS = np.array([12, 5], np.int32)
# Line 0 holds two responses and padding, line 1 one that fills it.
SEGMENTS = np.array([[0] * 4 + [1] * 5 + [-1], [2] * 10], np.int32)[None].repeat(B, 0)
OFFSETS = np.array([[*range(4), *range(5), 0], range(10)], np.int32)
POSITIONS = LENGTHS[:, None, None] + OFFSETS
REAL = (SEGMENTS >= 0)[..., None, None]


def arrays() -> list[jax.Array]:
    rng = np.random.default_rng(0)
    shapes = [(B, J, C, N, H), (B, J, C, K, H), (B, J, C, K, H), (B, P, K, H), (B, P, K, H)]
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def by_kernel(how: UpdateAttention, q, k, v, prompt_k, prompt_v):
    return attend_lines_by_kernel(how, q, k, v, SEGMENTS, SCALE, (prompt_k, prompt_v, jnp.asarray(LENGTHS)))


def by_xla(q, k, v, prompt_k, prompt_v):
    return attend_lines(q, k, v, POSITIONS, SEGMENTS, SCALE, None, (prompt_k, prompt_v, jnp.asarray(LENGTHS)))


@partial(jax.jit, static_argnums=0)
def both(function, arrays):
    direction = np.random.default_rng(1).normal(size=(B, J, C, N, H)).astype(np.float32) * REAL
    out, pull = jax.vjp(function, *arrays)
    return jnp.where(REAL, out, 0), *pull(direction)


def assert_equal(found, wanted, relative: float = 2e-6):
    for ours, right in zip(found, wanted, strict=True):
        assert float(jnp.linalg.norm(ours - right)) <= relative * float(jnp.linalg.norm(right))


def test_splash_gives_the_values_and_gradients_of_xla():
    assert_equal(both(partial(by_kernel, SPLASH), arrays()), both(by_xla, arrays()))


def test_a_prompt_attends_to_itself_as_in_xla():
    q, k, v = (values[:, :1] for values in arrays()[:3])
    whole = jnp.zeros((B, 1, C), jnp.int32)

    def gradients(function):
        return jax.jit(jax.grad(lambda *inputs: (function(*inputs) ** 2).sum(), argnums=(0, 1, 2)))(q, k, v)

    found = gradients(lambda q, k, v: attend_lines_by_kernel(SPLASH, q, k, v, None, SCALE))
    columns = jnp.broadcast_to(jnp.arange(C), whole.shape)
    assert_equal(found, gradients(lambda q, k, v: attend_lines(q, k, v, columns, whole, SCALE, None)))


@pytest.mark.parametrize("shape", [(2, 1, 2), (1, 1, 4)], ids=["rows_and_heads", "heads_that_do_not_divide"])
def test_devices_share_rows_and_heads(shape: tuple[int, int, int]):
    mesh: Mesh = make_mesh(ParallelConfig(*shape), jax.devices()[: int(np.prod(shape))])
    found = both(partial(by_kernel, dataclasses.replace(SPLASH, mesh=mesh)), arrays())
    assert_equal(jax.device_get(found), both(by_xla, arrays()))


def test_cudnn_is_called_with_masks_segments_and_float32_sums():
    shapes = [jax.ShapeDtypeStruct(values.shape, jnp.bfloat16) for values in arrays()]

    def loss(*inputs):
        return by_kernel(UpdateAttention("gpu"), *inputs).astype(jnp.float32).sum()

    lowered = jax.jit(jax.grad(loss, argnums=tuple(range(5)))).trace(*shapes).lower(lowering_platforms=("cuda",))
    calls = [line for line in lowered.as_text().splitlines() if "__cudnn$fmha" in line]
    # Own tokens through a bias, the prompt by lengths: forwards, and backwards with the merged sums.
    for name, mask in [("ScaleBiasSoftmax", "CAUSAL"), ("Softmax", "PADDING")]:
        forward, backward = (
            next(line for line in calls if f"@__cudnn$fmha{name}{ending}(" in line) for ending in ("", "Backward")
        )
        assert f"\\22{mask}\\22" in forward
        assert f"\\22{mask}\\22" in backward
        assert "f32>" in forward.partition("->")[2]
        assert "bf16>" in backward.partition("->")[2]
    assert len(calls) == 4


@pytest.mark.accelerator
@pytest.mark.parametrize("num_rows", [1, 2, 7])
@pytest.mark.parametrize("head_size", [64, 128])
def test_the_device_s_own_kernel_is_right(num_rows: int, head_size: int):
    device = jax.devices()[0]
    path: Literal["gpu", "tpu"] = "gpu" if device.platform == "gpu" else "tpu"
    assert kernel_fault(UpdateAttention(path), device, num_rows, head_size, "bfloat16") is None
