# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen/Qwen3-1.7B from the hub.

1.7 billion parameters; float32 master weights, optimizer and reference take about 28 GB.
"""

from grpo_jax.config import ModelConfig


def config() -> ModelConfig:
    """The model section."""
    return ModelConfig(path="Qwen/Qwen3-1.7B", dtype="bfloat16", remat="block")
