# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The TPU kernel goes through the chips' own compiler, which needs `pip install libtpu` and no chip."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from grpo_jax.sampling.kernels.tpu_ragged_decode import tpu_ragged_decode
from tests.fakes.tpu_topology import described_tpu, needs_libtpu

pytestmark = needs_libtpu


@pytest.mark.parametrize("chip", ["v4:2x2x1", "v5e:2x2", "v5p:2x2x1", "v6e:2x2"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((256, 8, 2, 1056, 128), jnp.bfloat16),  # Qwen3-0.6B
        ((64, 32, 1, 512, 256), jnp.bfloat16),  # heads in several steps
        ((8, 2, 7, 40, 64), jnp.float32),
    ],
)
def test_compiles_without_copying_the_cache(chip, shape, dtype, monkeypatch):
    device = described_tpu(chip, monkeypatch)
    b, k, r, s, h = shape
    sizes = [((b, k, r, h), dtype), ((b, k, s, h), dtype), ((b, k, s, h), dtype), ((b,), jnp.int32), ((b,), jnp.int32)]
    inputs = [jax.ShapeDtypeStruct(*size, sharding=SingleDeviceSharding(device)) for size in sizes]
    lowered = jax.jit(tpu_ragged_decode).trace(*inputs).lower(lowering_platforms=("tpu",))
    temporary = lowered.compile().memory_analysis().temp_size_in_bytes
    cache_bytes = 2 * b * k * s * h * jnp.dtype(dtype).itemsize
    assert temporary < max(cache_bytes / 8, 2**20)
