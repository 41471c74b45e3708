# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""meta-llama/Llama-3.2-1B-Instruct from the hub.

1.2 billion parameters; the hub asks for its licence to be accepted first.
"""

from grpo_jax.config import ModelConfig


def config() -> ModelConfig:
    """The model section."""
    return ModelConfig(path="meta-llama/Llama-3.2-1B-Instruct", dtype="bfloat16", remat="block")
