# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The families by `model_type`, and the two questions asked of them: which architecture, which tensor names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families import gemma3, llama, qwen2, qwen3
from grpo_jax.models.families.config_fields import HuggingFaceConfig
from grpo_jax.models.families.weight_names import WeightName
from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class Family:
    """How to read one model type.

    Attributes:
        architecture: From a `config.json` to sizes and switches.
        weights: From those to the names of all tensors.
        causal_lm: Class of `transformers` that an exported `config.json` names.
    """

    architecture: Callable[[HuggingFaceConfig], Architecture]
    weights: Callable[[Architecture], tuple[WeightName, ...]]
    causal_lm: str


FAMILIES = {
    "llama": Family(llama.architecture, llama.weights, "LlamaForCausalLM"),
    "mistral": Family(llama.architecture, llama.weights, "MistralForCausalLM"),
    "qwen2": Family(qwen2.architecture, qwen2.weights, "Qwen2ForCausalLM"),
    "qwen3": Family(qwen3.architecture, qwen3.weights, "Qwen3ForCausalLM"),
    "gemma3_text": Family(gemma3.architecture, gemma3.weights, "Gemma3ForCausalLM"),
}


def text_config(config: HuggingFaceConfig) -> dict[str, Any]:
    """The config of the text decoder alone: that of a `gemma3` wrapper taken out, any other returned as it is."""
    if config.get("model_type") != "gemma3":
        return dict(config)
    kept = {key: config[key] for key in ("eos_token_id", "bos_token_id", "pad_token_id") if key in config}
    return {**kept, **config.get("text_config", {}), "model_type": "gemma3_text"}


def family_of(model_type: str | None) -> Family:
    """The family of a `model_type`; a ConfigError naming the supported ones where there is none."""
    if model_type not in FAMILIES:
        supported = ", ".join([*FAMILIES, "gemma3"])
        raise ConfigError(f"model_type={model_type!r} is not supported; supported are {supported}")
    return FAMILIES[model_type]


def architecture(config: HuggingFaceConfig) -> Architecture:
    """Sizes and switches of a parsed `config.json` of any supported family.

    Raises:
        ConfigError: For an unknown `model_type`, a missing size, or a feature the transformer does not compute.
    """
    text = text_config(config)
    family = family_of(text.get("model_type"))
    try:
        return family.architecture(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def weight_names(arch: Architecture) -> tuple[WeightName, ...]:
    """All tensors of a model, as its family names them."""
    return family_of(arch.family).weights(arch)
