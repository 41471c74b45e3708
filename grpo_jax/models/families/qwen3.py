# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3 (dense): a norm over each head of queries and keys, a head size of its own, no biases."""

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.config_fields import (
    HuggingFaceConfig,
    common_fields,
    refuse_unsupported,
    rope_fields,
)
from grpo_jax.models.families.qwen2 import window_fields
from grpo_jax.models.families.weight_names import WeightName, decoder_weights

# What transformers assumes where the config does not say, whatever hidden_size is.
_HEAD_SIZE = 128


def architecture(config: HuggingFaceConfig) -> Architecture:
    """Sizes and switches of a `qwen3` config."""
    refuse_unsupported(config, activations=("silu",))
    config = {**config, "head_dim": config.get("head_dim") or _HEAD_SIZE}
    sizes = common_fields(config, tied_by_default=False)
    return Architecture(**sizes, **rope_fields(config), **window_fields(config), qk_norm=True)


def weights(arch: Architecture) -> tuple[WeightName, ...]:
    """Tensor names of the family."""
    return decoder_weights(arch)
