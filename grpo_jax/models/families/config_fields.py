# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of the fields of a Hugging Face `config.json` that every family shares.

Both forms are read: `rope_parameters` of transformers 5, and `rope_theta` beside `rope_scaling` of older files.
What a family cannot honour is refused here by name, never ignored.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.models.architecture import RopeScaling
from grpo_jax.records import ConfigError

HuggingFaceConfig = Mapping[str, Any]
"""A parsed `config.json`."""

_UNSUPPORTED = (
    "attention_bias",
    "mlp_bias",
    "final_logit_softcapping",
    "attn_logit_softcapping",
    "use_bidirectional_attention",
    "num_experts",
    "num_local_experts",
    "quantization_config",
)


def required(config: HuggingFaceConfig, field: str) -> Any:
    """The field's value; a ConfigError where it is absent."""
    if config.get(field) is None:
        raise ConfigError(f"{field} is missing; a {config.get('model_type')} model cannot be sized without it")
    return config[field]


def refuse_unsupported(config: HuggingFaceConfig, activations: Sequence[str]) -> None:
    """Raise where the config switches on something that the shared transformer does not compute."""
    for field in _UNSUPPORTED:
        if config.get(field):
            raise ConfigError(f"{field}={config[field]!r} is not supported for model_type {config.get('model_type')}")
    activation = config.get("hidden_activation") or config.get("hidden_act") or activations[0]
    if activation not in activations:
        raise ConfigError(
            f"hidden_act={activation!r} is not supported for model_type {config.get('model_type')}; "
            f"it must be {' or '.join(activations)}"
        )


def common_fields(config: HuggingFaceConfig, *, tied_by_default: bool) -> dict[str, Any]:
    """Arguments of `Architecture` that all families take from the same fields (rotary ones excluded)."""
    num_heads = required(config, "num_attention_heads")
    width = required(config, "hidden_size")
    return {
        "family": config["model_type"],
        "vocab_size": required(config, "vocab_size"),
        "width": width,
        "num_layers": required(config, "num_hidden_layers"),
        "num_heads": num_heads,
        "num_kv_heads": config.get("num_key_value_heads") or num_heads,
        "head_size": config.get("head_dim") or width // num_heads,
        "mlp_size": required(config, "intermediate_size"),
        "norm_epsilon": config.get("rms_norm_eps", 1e-6),
        "tied_embeddings": config.get("tie_word_embeddings", tied_by_default),
        "max_positions": config.get("max_position_embeddings", 8192),
    }


def rope_fields(config: HuggingFaceConfig, default_theta: float = 10_000.0) -> dict[str, Any]:
    """`rope_theta` and `rope_scaling` of `Architecture` for a family with one rotary base."""
    parameters = config.get("rope_parameters") or {
        "rope_theta": config.get("rope_theta"),
        **(config.get("rope_scaling") or {}),
    }
    return {
        "rope_theta": float(parameters.get("rope_theta") or default_theta),
        "rope_scaling": rope_scaling(parameters),
    }


def rope_scaling(parameters: Mapping[str, Any]) -> RopeScaling | None:
    """The scaling that a `rope_scaling` or `rope_parameters` object asks for; None for the plain kind."""
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    if parameters.get("partial_rotary_factor", 1.0) != 1.0:
        raise ConfigError(f"partial_rotary_factor={parameters['partial_rotary_factor']} is not supported; it must be 1")
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling("linear", float(required(parameters, "factor")))
    if kind == "llama3":
        return RopeScaling(
            "llama3",
            float(required(parameters, "factor")),
            float(required(parameters, "low_freq_factor")),
            float(required(parameters, "high_freq_factor")),
            int(required(parameters, "original_max_position_embeddings")),
        )
    raise ConfigError(f"rope_type={kind!r} is not supported; supported kinds are default, linear and llama3")


def sliding_fields(window: int | None, sliding_layers: Sequence[bool]) -> dict[str, Any]:
    """`sliding_window` and `sliding_layers` of `Architecture`; neither where no layer slides."""
    if window is None or not any(sliding_layers):
        return {}
    return {"sliding_window": window, "sliding_layers": tuple(sliding_layers)}


def sliding_by_layer_types(config: HuggingFaceConfig) -> tuple[bool, ...] | None:
    """For each layer whether `layer_types` calls it sliding; None where the config has no such list."""
    kinds = config.get("layer_types")
    if kinds is None:
        return None
    for kind in kinds:
        if kind not in ("sliding_attention", "full_attention"):
            raise ConfigError(f"layer_types has {kind!r}; supported are sliding_attention and full_attention")
    return tuple(kind == "sliding_attention" for kind in kinds)
