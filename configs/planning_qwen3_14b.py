# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3-14B learns to plan in five PDDL scenarios, from easy problems to hard ones.

Command: grpo-jax train configs/planning_qwen3_14b.py
Draw alone: grpo-jax preview configs/planning_qwen3_14b.py --report draw.html
Hardware: 8 GPUs of 80 GB (extra `cuda`) or a TPU v5p-16 (extra `tpu`); needs access to the hub for the model.

Data: `grpo-jax prepare pddl --input RAW --output data/planning`, where RAW holds the domain and problem files; another
folder: data.train_sources='["blocksworld::DIR/blocksworld.jsonl", "ferry::DIR/ferry.jsonl", ...]'.
How hard a problem is follows from its file name, such as grippers-n1-r4-o3-s299249445.pddl.
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
from grpo_jax.curriculum_config import BucketSpan, DifficultyConfig, DifficultyRule
from grpo_jax.overrides import preset

SCENARIOS = ("blocksworld", "ferry", "grippers", "spanner", "delivery")


def config() -> RunConfig:
    """2 problems of each scenario a step, 8 plans each; easy ones first."""
    by_name = Domain(
        prompt_template="{prompt}\n\nReply with the plan between <plan> and </plan>, one (action object ...) a line.",
        rewards={"planning": 1.0},
        difficulty=DifficultyRule(rule="file_name"),
    )
    return RunConfig(
        exp_name="planning_qwen3_14b",
        model=preset(__file__, "model", "qwen3_14b"),
        data=DataConfig(
            train_sources=tuple(f"{name}::data/planning/{name}.jsonl" for name in SCENARIOS),
            mixing="balanced",
            strict=True,
            prompts_per_step=10,
            max_prompt_tokens=4096,
        ),
        domains=dict.fromkeys(SCENARIOS, by_name),
        curriculum=CurriculumConfig(
            difficulty=DifficultyConfig(
                percentiles=(0.4, 0.8),
                schedule=(
                    BucketSpan(until=0.3, weights=(0.7, 0.25, 0.05)),
                    BucketSpan(until=0.7, weights=(0.4, 0.4, 0.2)),
                    BucketSpan(until=1.0, weights=(0.2, 0.4, 0.4)),
                ),
            )
        ),
        sampling=SamplingConfig(group_size=8, temperature=1.0, max_completion_tokens=2048),
        rewards=RewardsConfig(workers=8),
        objective=ObjectiveConfig(kl_coefficient=0.02),
        training=TrainingConfig(max_steps=1000, learning_rate=1e-5, warmup_steps=10, microbatch_tokens=16_384),
        checkpoint=CheckpointConfig(every_steps=50),
    )
