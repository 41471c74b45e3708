# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Four datasets of different kinds in one run: GSM8K, MATH, Natural Questions and contest code.

Command: grpo-jax train configs/verl_mixed.py
Without the KL term: grpo-jax train configs/verl_mixed.py objective.kl_coefficient=0
Draw alone: grpo-jax preview configs/verl_mixed.py --steps 100
Hardware: 8 GPUs of 80 GB (extra `cuda`) or a TPU v5e-16 (extra `tpu`); needs access to the hub for the model.

Data: `grpo-jax prepare gsm8k --input RAW --output data/gsm8k/train.parquet`, and the same with `math`, `nq_open` and
`code_contests` for the other files; parquet files of the verl schema work as they are:
data.train_sources='["gsm8k::...", "math::...", "naturalquestions::...", "codecontests::..."]'.
The mix goes by the datasets' sizes, exactly in every batch; data.mixing=concat shuffles all rows as one dataset.
"""

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

BOXED = "{prompt}\nLet's think step by step and output the final answer within \\boxed{}."


def config() -> RunConfig:
    """64 prompts a step by dataset size, 8 completions each; every dataset has its own limit and its own check."""
    return RunConfig(
        exp_name="verl_mixed",
        model=preset(__file__, "model", "qwen3_1p7b"),
        data=DataConfig(
            train_sources=(
                "gsm8k::data/gsm8k/train.parquet",
                "math::data/math/train.parquet",
                "naturalquestions::data/nq_open/train.parquet",
                "codecontests::data/code_contests/train.parquet",
            ),
            mixing="proportional",
            prompts_per_step=64,
            max_prompt_tokens=1024,
        ),
        domains={
            "gsm8k": Domain(prompt_template=BOXED, rewards={"math": 1.0}, max_completion_tokens=1024),
            "math": Domain(prompt_template=BOXED, rewards={"math": 1.0}, max_completion_tokens=1024),
            "naturalquestions": Domain(
                prompt_template="{prompt}\nAnswer in a few words, between <answer> and </answer>.",
                rewards={"exact_match": 1.0},
                max_completion_tokens=200,
            ),
            "codecontests": Domain(
                prompt_template="{prompt}\nWrite a Python program in one ```python block.",
                rewards={"code": 1.0},
                max_completion_tokens=2048,
            ),
        },
        sampling=SamplingConfig(group_size=8, temperature=1.0, max_completion_tokens=1024),
        rewards=RewardsConfig(workers=16),
        objective=ObjectiveConfig(kl_coefficient=0.001, kl_estimator="k3", aggregation="token_mean"),
        training=TrainingConfig(
            max_steps=500,
            learning_rate=1e-6,
            warmup_steps=10,
            weight_decay=0.01,
            minibatches=4,
            microbatch_tokens=32_768,
        ),
        checkpoint=CheckpointConfig(every_steps=25),
    )
