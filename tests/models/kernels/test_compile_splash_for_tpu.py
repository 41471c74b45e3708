# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The update's attention goes through the TPUs' own compiler, forwards and backwards, without a chip."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from grpo_jax.models.kernel_attention import UpdateAttention, attend_lines_by_kernel
from tests.fakes.tpu_topology import described_tpu, needs_libtpu

pytestmark = needs_libtpu


@pytest.mark.parametrize("chip", ["v4:2x2x1", "v5e:2x2", "v5p:2x2x1", "v6e:2x2"])
@pytest.mark.parametrize(
    ("lines", "prompt_tokens", "heads", "dtype"),
    [
        ((2, 8, 512), 256, (16, 8, 128), jnp.bfloat16),  # Qwen3-0.6B
        ((1, 2, 200), 100, (9, 3, 64), jnp.float32),  # SmolLM2, padded to whole blocks
    ],
)
def test_forward_and_backward_compile_and_hold_no_scores(chip, lines, prompt_tokens, heads, dtype, monkeypatch):
    placed = SingleDeviceSharding(described_tpu(chip, monkeypatch))
    (rows, _, tokens), (n, k, h) = lines, heads

    def given(*shape, dtype=dtype):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=placed)

    def loss(q, k, v, prompt_k, prompt_v, segments, lengths):
        prompt = (prompt_k, prompt_v, lengths)
        return attend_lines_by_kernel(UpdateAttention("tpu"), q, k, v, segments, 0.1, prompt).astype(jnp.float32).sum()

    own, prompt = given(*lines, k, h), given(rows, prompt_tokens, k, h)
    inputs = [given(*lines, n, h), own, own, prompt, prompt, given(*lines, dtype=jnp.int32)]
    inputs.append(given(rows, dtype=jnp.int32))
    step = jax.jit(jax.grad(loss, argnums=tuple(range(5))))
    compiled = step.trace(*inputs).lower(lowering_platforms=("tpu",)).compile()
    analysis = compiled.memory_analysis()
    assert analysis is not None
    scores = 4 * rows * lines[1] * n * tokens * (tokens + prompt_tokens)
    # Sums a token lie in a TPU's registers 128 times over; in a small case they outweigh its few scores.
    assert analysis.temp_size_in_bytes < max(scores, 32 * 2**20)
