# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny models of every switch that `Architecture` has, with weights under which a wrong key or angle shows."""

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.models.architecture import Architecture, RopeScaling
from grpo_jax.models.transformer import Params, abstract_params
from tests.fakes.tiny_model import tiny_architecture

ARCHITECTURES: dict[str, Architecture] = {
    "llama": tiny_architecture(
        rope_scaling=RopeScaling(kind="llama3", factor=4.0, original_max_positions=32), rope_theta=500.0
    ),
    "mistral": tiny_architecture(family="mistral", sliding_window=5, sliding_layers=(True, True)),
    "qwen2": tiny_architecture(family="qwen2", qkv_bias=True, num_kv_heads=1),
    "qwen3": tiny_architecture(family="qwen3", qk_norm=True, tied_embeddings=False, head_size=16, num_kv_heads=4),
    "gemma3": tiny_architecture(
        family="gemma3_text",
        num_layers=3,
        qk_norm=True,
        norm_adds_one=True,
        post_norms=True,
        activation="gelu_tanh",
        embedding_scale=32**0.5,
        query_scale=0.3,
        local_rope_theta=100.0,
        rope_scaling=RopeScaling(kind="linear", factor=2.0),
        sliding_window=5,
        sliding_layers=(True, False, True),
    ),
}
"""By family; the windows are shorter than any sequence of the tests."""


def lively_params(arch: Architecture, seed: int = 0) -> Params:
    """Random float32 weights with biases, norms and attention far from their flat starting values."""
    rng = np.random.default_rng(seed)
    flat = 0.0 if arch.norm_adds_one else 1.0

    def draw(path: tuple, shape: jax.ShapeDtypeStruct) -> jax.Array:
        centre = flat if path[-1].key.endswith("norm") else 0.0
        return jnp.asarray(rng.normal(centre, 0.2, shape.shape), jnp.float32)

    return jax.tree.map_with_path(draw, abstract_params(arch)[1])
