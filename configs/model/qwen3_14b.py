# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen/Qwen3-14B from the hub.

14.8 billion parameters; float32 master weights and optimizer take about 180 GB, a reference in bfloat16 30 GB more.
"""

from grpo_jax.config import ModelConfig


def config() -> ModelConfig:
    """The model section."""
    return ModelConfig(path="Qwen/Qwen3-14B", dtype="bfloat16", remat="block")
