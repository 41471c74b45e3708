# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""google/gemma-3-270m-it from the hub.

270 million parameters, most of them embeddings; the hub asks for its licence to be accepted first.
"""

from grpo_jax.config import ModelConfig


def config() -> ModelConfig:
    """The model section."""
    return ModelConfig(path="google/gemma-3-270m-it", dtype="bfloat16", remat="block")
