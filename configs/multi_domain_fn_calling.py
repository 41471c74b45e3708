# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Math, code and function calls in one run, the mix corrected for how long each takes.

Command: grpo-jax train configs/multi_domain_fn_calling.py
Draw alone: grpo-jax preview configs/multi_domain_fn_calling.py --steps 100
Hardware: 8 GPUs of 80 GB (extra `cuda`) or a TPU v5e-16 (extra `tpu`); needs access to the hub for the model.

Data: `grpo-jax prepare gsm8k --input RAW --output data/gsm8k/train.parquet`, and the same with `mbpp` and `bfcl` for
the other files, or others of the problem schema: data.train_sources='["math::...", "coding::...", "fn_calling::..."]'.
"""

from grpo_jax.config import (
    CheckpointConfig,
    CurriculumConfig,
    DataConfig,
    Domain,
    ObjectiveConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.curriculum_config import AdaptiveConfig
from grpo_jax.overrides import preset

CODING = """\
You are an expert Python programmer. Think about the problem first, then write the complete solution in one ```python \
block."""


def config() -> RunConfig:
    """32 prompts a step in exact shares 0.4/0.3/0.3, 8 completions each."""
    return RunConfig(
        exp_name="multi_domain_fn_calling",
        model=preset(__file__, "model", "qwen3_1p7b"),
        data=DataConfig(
            train_sources=(
                "math::data/gsm8k/train.parquet",
                "coding::data/mbpp/train.parquet",
                "fn_calling::data/bfcl/train.parquet",
            ),
            prompts_per_step=32,
            max_prompt_tokens=2048,
        ),
        domains={
            "math": Domain(
                weight=0.4,
                prompt_template="{prompt}\nReason step by step and put the final answer within \\boxed{}.",
                rewards={"math": 1.0},
            ),
            "coding": Domain(weight=0.3, system_prompt=CODING, rewards={"code": 1.0}),
            "fn_calling": Domain(weight=0.3, rewards={"function_calls": 1.0}, max_completion_tokens=512),
        },
        curriculum=CurriculumConfig(adaptive=AdaptiveConfig(mix_correction=True)),
        sampling=SamplingConfig(group_size=8, temperature=1.0, max_completion_tokens=1024),
        rewards=RewardsConfig(workers=16),
        objective=ObjectiveConfig(clip_low=0.2, clip_high=0.28, aggregation="token_mean"),
        training=TrainingConfig(max_steps=500, learning_rate=1e-6, warmup_steps=10, microbatch_tokens=32_768),
        checkpoint=CheckpointConfig(every_steps=25),
    )
