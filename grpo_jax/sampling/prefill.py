# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Keys and values of prompts. No head and no last hidden state: the first token comes from decode, like all others."""

import jax.numpy as jnp
from jaxtyping import Array, Int32

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.attention import attend_at
from grpo_jax.models.rope import rotations_at
from grpo_jax.models.transformer import scaled_embedding
from grpo_jax.sampling.cached_attention import KeysValues
from grpo_jax.sampling.serving import ServingWeights, serving_blocks


def prefill(
    weights: ServingWeights, prompt_ids: Int32[Array, "N P"], *, arch: Architecture, num_shards: int = 1
) -> list[KeysValues]:
    """Prompt keys and values of each layer, head-major, of right-padded prompts."""
    positions = jnp.arange(prompt_ids.shape[1])
    rotations = rotations_at(arch, positions)
    x = scaled_embedding(weights["embedding"], prompt_ids, arch)
    keys_values: list[KeysValues] = []
    blocks = serving_blocks(weights, arch)
    for layer, block in enumerate(blocks):
        sliding = arch.sliding_layers[layer]
        q, k, v = block.attention_inputs(x, rotations[int(sliding)])
        keys_values.append((jnp.swapaxes(k, 1, 2), jnp.swapaxes(v, 1, 2)))
        if layer + 1 < len(blocks):
            window = arch.sliding_window if sliding else None
            attended = attend_at(
                q, k, v, positions[None], positions[None], window, arch.query_scale, num_shards=num_shards
            )
            x = block.residual(x, attended)
    return keys_values
