# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen2 and Qwen2.5: biases on queries, keys and values; the upper layers may slide."""

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.config_fields import (
    HuggingFaceConfig,
    common_fields,
    refuse_unsupported,
    rope_fields,
    sliding_by_layer_types,
    sliding_fields,
)
from grpo_jax.models.families.weight_names import WeightName, decoder_weights

# Defaults of transformers for configs that switch the window on without saying more.
_WINDOW, _FIRST_SLIDING_LAYER = 4096, 28


def architecture(config: HuggingFaceConfig) -> Architecture:
    """Sizes and switches of a `qwen2` config."""
    refuse_unsupported(config, activations=("silu",))
    sizes = common_fields(config, tied_by_default=False)
    return Architecture(**sizes, **rope_fields(config), **window_fields(config), qkv_bias=True)


def weights(arch: Architecture) -> tuple[WeightName, ...]:
    """Tensor names of the family."""
    return decoder_weights(arch)


def window_fields(config: HuggingFaceConfig) -> dict:
    """Sliding fields by `use_sliding_window`, then `layer_types` or `max_window_layers`."""
    if not config.get("use_sliding_window", False):
        return {}
    first = config.get("max_window_layers", _FIRST_SLIDING_LAYER)
    by_number = tuple(layer >= first for layer in range(config["num_hidden_layers"]))
    return sliding_fields(config.get("sliding_window", _WINDOW), sliding_by_layer_types(config) or by_number)
