# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Adapters act like weights of low rank that were added, in every family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.model_config import LoraConfig
from grpo_jax.models.lora import adapters_of, fresh_adapters, join, lora_spec, merged
from grpo_jax.models.transformer import abstract_params
from tests.fakes.architectures import ARCHITECTURES, lively_params

SPEC = lora_spec(LoraConfig(rank=3, alpha=1.5))
TOKENS = jnp.asarray(np.random.default_rng(0).integers(0, 250, (2, 11)))


def hidden(arch, params, lora=None):
    model = nnx.merge(abstract_params(arch, lora=lora)[0], params)
    return model.hidden_states(TOKENS)


def adapters(arch):
    shapes = adapters_of(abstract_params(arch, lora=SPEC)[1])
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), shapes)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_adapters_equal_merged_weights(family):
    arch = ARCHITECTURES[family]
    base = lively_params(arch)
    params = join(base, adapters(arch))
    found = hidden(arch, params, SPEC)
    np.testing.assert_allclose(found, hidden(arch, merged(params, SPEC)), atol=2e-4, rtol=1e-3)
    assert not np.allclose(found, hidden(arch, base), atol=1e-2)


def test_fresh_adapters_leave_the_base_as_it_is():
    arch = ARCHITECTURES["qwen2"]
    base = lively_params(arch)
    fresh = fresh_adapters(adapters_of(abstract_params(arch, lora=SPEC)[1]), jax.random.key(0))
    np.testing.assert_array_equal(hidden(arch, join(base, fresh), SPEC), hidden(arch, base))
    assert all(leaf.any() for name, leaf in fresh["layers"].items() if name.endswith("_lora_a"))


def test_adapters_come_apart_from_their_base():
    arch = ARCHITECTURES["llama"]
    base, own = lively_params(arch), adapters(arch)
    together = join(base, own)
    jax.tree.map(np.testing.assert_array_equal, adapters_of(together), own)
    rest = {name: leaf for name, leaf in together["layers"].items() if name not in own["layers"]}
    jax.tree.map(np.testing.assert_array_equal, {**together, "layers": rest}, base)


def test_rank_stabilised_scale():
    assert lora_spec(LoraConfig(rank=4, alpha=8.0)).scale == 2.0
    assert lora_spec(LoraConfig(rank=4, alpha=8.0, rank_stabilized=True)).scale == 4.0
    assert lora_spec(None) is None
