# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen/Qwen2.5-0.5B-Instruct from the hub.

0.5 billion parameters; float32 master weights, optimizer and reference take about 8 GB.
"""

from grpo_jax.config import ModelConfig


def config() -> ModelConfig:
    """The model section."""
    return ModelConfig(path="Qwen/Qwen2.5-0.5B-Instruct", dtype="bfloat16", remat="block")
