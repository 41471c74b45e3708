# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Gemma 3 text decoders: `gemma3_text`, and the `text_config` of the `gemma3` wrapper with images left out."""

from typing import Any

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.config_fields import (
    HuggingFaceConfig,
    common_fields,
    refuse_unsupported,
    rope_scaling,
    sliding_by_layer_types,
    sliding_fields,
)
from grpo_jax.models.families.weight_names import WeightName, decoder_weights

# Published wrapper configs leave out whatever equals the defaults of transformers.
_DEFAULTS = {
    "vocab_size": 262_208,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131_072,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
}
_GLOBAL_THETA, _LOCAL_THETA = 1_000_000.0, 10_000.0


def architecture(config: HuggingFaceConfig) -> Architecture:
    """Sizes and switches of a `gemma3_text` config."""
    refuse_unsupported(config, activations=("gelu_pytorch_tanh",))
    config = {**_DEFAULTS, **config}
    sizes = common_fields(config, tied_by_default=True)
    pattern = config["sliding_window_pattern"]
    # Every pattern-th layer is global: with 6, layers 5, 11, 17, ... counted from 0.
    by_pattern = tuple(bool((layer + 1) % pattern) for layer in range(sizes["num_layers"]))
    return Architecture(
        **sizes,
        **_rope(config),
        **sliding_fields(config["sliding_window"], sliding_by_layer_types(config) or by_pattern),
        qk_norm=True,
        activation="gelu_tanh",
        norm_adds_one=True,
        post_norms=True,
        embedding_scale=sizes["width"] ** 0.5,
        query_scale=config["query_pre_attn_scalar"] ** -0.5,
    )


def weights(arch: Architecture) -> tuple[WeightName, ...]:
    """Tensor names of the family."""
    return decoder_weights(arch, mlp_norm="pre_feedforward_layernorm")


def _rope(config: HuggingFaceConfig) -> dict[str, Any]:
    parameters = config.get("rope_parameters") or {
        "full_attention": {"rope_theta": config.get("rope_theta"), **(config.get("rope_scaling") or {})},
        "sliding_attention": {"rope_theta": config.get("rope_local_base_freq")},
    }
    everywhere = parameters.get("full_attention") or {}
    local = parameters.get("sliding_attention") or {}
    return {
        "rope_theta": float(everywhere.get("rope_theta") or _GLOBAL_THETA),
        "local_rope_theta": float(local.get("rope_theta") or _LOCAL_THETA),
        "rope_scaling": rope_scaling(everywhere),
    }
