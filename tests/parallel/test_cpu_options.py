# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Options of XLA change how fast a CPU computes attention, and never what."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.config import ParallelConfig
from grpo_jax.models.attention_parts import attend_part, merge_parts
from grpo_jax.parallel import cpu_options
from grpo_jax.parallel.cpu_options import decode_options
from grpo_jax.parallel.mesh import make_mesh


@pytest.fixture
def mesh():
    return make_mesh(ParallelConfig(), jax.devices()[:1])


def test_attention_is_the_same_with_them(mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "")
    options = decode_options(mesh)
    assert options is not None, "this JAX is known to have them"
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(rng.normal(0, 1, (4, 3, rows, 64)), jnp.float32) for rows in (3, 96, 96))
    visible = jnp.asarray(rng.integers(0, 97, (4, 1, 1, 1)) > np.arange(96)).at[0].set(False)

    def attention(q, k, v, visible):
        return merge_parts(attend_part(q, k, v, visible), dtype=jnp.float32)

    found = jax.jit(attention, compiler_options=options)(q, k, v, visible)
    scores = np.where(visible, np.einsum("ncrh,ncsh->ncrs", *(np.asarray(x, np.float64) for x in (q, k))), -np.inf)
    weights = np.exp(scores - np.maximum(scores.max(axis=-1, keepdims=True), -1e300))
    wanted = np.einsum("ncrs,ncsh->ncrh", weights, np.asarray(v, np.float64))
    wanted /= np.maximum(weights.sum(axis=-1, keepdims=True), 1e-300)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert not found[0].any(), "a row that sees nothing gets nothing"


def test_what_the_user_says_in_xla_flags_stands(mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT")
    assert decode_options(mesh) is None


def test_an_option_that_jax_lacks_is_left_out_with_a_line(
    mesh, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(cpu_options, "_WHOLE_ATTENTION", {"xla_cpu_no_such_option": "1"})
    cpu_options._known.cache_clear()
    with caplog.at_level(logging.INFO):
        assert decode_options(mesh) is None
    cpu_options._known.cache_clear()
    assert [record.message.count("xla_cpu_no_such_option") for record in caplog.records] == [1]
