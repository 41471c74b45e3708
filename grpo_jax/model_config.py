# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that says which weights are trained and how."""

from dataclasses import dataclass
from typing import Literal

from grpo_jax.records import ConfigError

Remat = Literal["none", "dots", "attention", "block"]
"""See `ModelConfig.remat`."""


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters trained in place of all weights (https://arxiv.org/abs/2106.09685)."""

    rank: int = 16
    """Rows of each pair of factors."""
    alpha: float = 32.0
    """The product of the factors is scaled by alpha / rank."""
    rank_stabilized: bool = False
    """Scale by alpha / sqrt(rank) instead (https://arxiv.org/abs/2312.03732)."""
    targets: tuple[Literal["query", "key", "value", "output", "gate", "up", "down"], ...] = (
        "query",
        "key",
        "value",
        "output",
        "gate",
        "up",
        "down",
    )
    """Weights of every layer that get adapters."""


@dataclass(frozen=True)
class ModelConfig:
    """Which weights to start from and how to compute with them."""

    path: str = ""
    """A Hugging Face folder, a hub name, a `.gguf` file, or `package:NAME`: the GGUF of an installed Python package."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Compute dtype of forward and backward passes; master weights, logprobs and reductions are float32 always."""
    remat: Remat = "block"
    """What each layer keeps for the backward pass, the rest being computed again: `block` its input alone; `attention`
    also attention's result; `dots` also every product with weights; `none` everything."""
    attention: Literal["auto", "xla", "pallas"] = "auto"
    """`xla` is plain XLA on any device; `pallas` takes kernels for NVIDIA GPUs and TPUs, or fails;
    `auto` takes a kernel where the device has one that works and else XLA. Kernels of sampling are the project's own;
    the update takes cuDNN on GPUs and JAX's splash attention on TPUs. The log says which paths are taken."""
    lora: LoraConfig | None = None
    """Train adapters alone; None trains all weights."""
    quantization: Literal["none", "int8", "nf4"] = "none"
    """Keep the frozen weights under adapters in 8 or 4 bits (https://arxiv.org/abs/2305.14314); see
    `models/quantization.py`. Sampling works on a copy of full width, made from the same numbers."""
    reasoning_vocab_size: int = 0
    """Ids appended to the vocabulary, copies of the first ones, that are allowed only while a completion reasons; 0 is
    off. An exported model keeps those that it has."""
    reasoning_tags: tuple[str, str] = ("<think>", "</think>")
    """Tags in the decoded text between which a completion reasons."""


def check_model(model: ModelConfig) -> None:
    """Check ranges.

    Raises:
        ConfigError: A value is out of range; the message names it.
    """
    if model.reasoning_vocab_size < 0:
        raise ConfigError(f"model.reasoning_vocab_size={model.reasoning_vocab_size} must be at least 0; 0 is off")
    if model.quantization != "none" and model.lora is None:
        raise ConfigError(
            f"model.quantization={model.quantization} freezes the weights and needs adapters to train; set model.lora"
        )
    if len(model.reasoning_tags) != 2 or not all(model.reasoning_tags):
        raise ConfigError(f"model.reasoning_tags={model.reasoning_tags} must be two tags, neither empty")
    if model.lora is not None:
        for name in ("rank", "alpha"):
            if getattr(model.lora, name) <= 0:
                raise ConfigError(f"model.lora.{name}={getattr(model.lora, name)} must be above 0")
