# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3-0.6B on GSM8K: the smallest run worth an accelerator.

Command: grpo-jax train configs/gsm8k_qwen3_0p6b.py
Hardware: one GPU of 80 GB (installed with the extra `cuda`) or a TPU v5e-8 (extra `tpu`); needs access to the hub.
"""

from grpo_jax.config import (
    CheckpointConfig,
    Domain,
    EvaluationConfig,
    ObjectiveConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.overrides import preset


def config() -> RunConfig:
    """64 questions a step, 8 answers each, one update on all of them."""
    return RunConfig(
        exp_name="gsm8k_qwen3_0p6b",
        model=preset(__file__, "model", "qwen3_0p6b"),
        data=preset(__file__, "data", "gsm8k"),
        domains={
            "math": Domain(
                system_prompt="Reason step by step, then put the final answer within \\boxed{}.",
                rewards={"math": 1.0},
            )
        },
        sampling=SamplingConfig(group_size=8, temperature=1.0, max_completion_tokens=1024),
        rewards=RewardsConfig(workers=8),
        objective=ObjectiveConfig(clip_low=0.2, clip_high=0.28, aggregation="token_mean"),
        training=TrainingConfig(
            max_steps=200, learning_rate=1e-6, warmup_steps=10, weight_decay=0.01, microbatch_tokens=32_768
        ),
        evaluation=EvaluationConfig(every_steps=20, max_problems=256),
        checkpoint=CheckpointConfig(every_steps=20),
    )
