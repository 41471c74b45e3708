# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""GSM8K from the Hugging Face hub: 7,473 problems to train on, 1,319 held out, domain `math`.

Command: grpo-jax train CONFIG data=gsm8k
"""

from grpo_jax.config import DataConfig


def config() -> DataConfig:
    """The data section; everything else of it is at its default."""
    return DataConfig(
        train_sources=("math::openai/gsm8k?name='main'@train",),
        eval_sources=("math::openai/gsm8k?name='main'@test",),
    )
