# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Llama (2, 3, SmolLM2 and others of that shape) and Mistral, whose every layer may have a sliding window."""

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.config_fields import (
    HuggingFaceConfig,
    common_fields,
    refuse_unsupported,
    rope_fields,
    sliding_fields,
)
from grpo_jax.models.families.weight_names import WeightName, decoder_weights

# What transformers assumes of a Mistral config that does not say; later Mistrals write null.
_MISTRAL_WINDOW = 4096


def architecture(config: HuggingFaceConfig) -> Architecture:
    """Sizes and switches of a `llama` or `mistral` config."""
    refuse_unsupported(config, activations=("silu", "swish"))
    sizes = common_fields(config, tied_by_default=False)
    window = config.get("sliding_window", _MISTRAL_WINDOW) if config["model_type"] == "mistral" else None
    sliding = sliding_fields(window, [True] * sizes["num_layers"])
    return Architecture(**sizes, **rope_fields(config), **sliding)


def weights(arch: Architecture) -> tuple[WeightName, ...]:
    """Tensor names of the family."""
    return decoder_weights(arch)
