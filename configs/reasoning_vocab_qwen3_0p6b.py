# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3-0.6B on DeepScaleR, reasoning in a vocabulary of its own.

Command: grpo-jax train configs/reasoning_vocab_qwen3_0p6b.py
Draw alone: grpo-jax preview configs/reasoning_vocab_qwen3_0p6b.py --steps 100
Hardware: one GPU of 80 GB (extra `cuda`) or a TPU v5e-8 (extra `tpu`); needs access to the hub for the model.

Data: `grpo-jax prepare deepscaler --input RAW --output data/deepscaler/train.parquet`; another file:
data.train_sources='["math::..."]'.
"""

from dataclasses import replace

from grpo_jax.config import (
    CheckpointConfig,
    DataConfig,
    Domain,
    ObjectiveConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.overrides import preset


def config() -> RunConfig:
    """4 passes over the problems, 32 a step, 4 completions each."""
    return RunConfig(
        exp_name="reasoning_vocab_qwen3_0p6b",
        model=replace(preset(__file__, "model", "qwen3_0p6b"), reasoning_vocab_size=151_646),
        data=DataConfig(
            train_sources=("math::data/deepscaler/train.parquet",), prompts_per_step=32, max_prompt_tokens=1024
        ),
        domains={
            "math": Domain(
                system_prompt="Reason step by step, then put the final answer within \\boxed{}.",
                rewards={"accuracy": 1.0},
            )
        },
        sampling=SamplingConfig(group_size=4, temperature=1.0, max_completion_tokens=4096),
        rewards=RewardsConfig(workers=8),
        objective=ObjectiveConfig(aggregation="token_mean"),
        training=TrainingConfig(max_steps=None, num_train_epochs=4.0, learning_rate=5e-6, warmup_steps=10),
        checkpoint=CheckpointConfig(every_steps=50),
    )
