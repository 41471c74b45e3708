# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen/Qwen3-0.6B from the hub.

0.6 billion parameters; float32 master weights, optimizer and reference take about 10 GB.
"""

from grpo_jax.config import ModelConfig


def config() -> ModelConfig:
    """The model section."""
    return ModelConfig(path="Qwen/Qwen3-0.6B", dtype="bfloat16", remat="block")
