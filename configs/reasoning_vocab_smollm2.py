# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A reasoning vocabulary in minutes: SmolLM2-135M does sums, with 8,192 ids of its own up to where it answers.

Command: grpo-jax train configs/reasoning_vocab_smollm2.py
Hardware: 2 CPU cores, 16 GiB of memory; no GPU, no hub, no account.

The tags are what this model writes anyway: its chat template ends in the opening one, so every completion starts
inside, and the words before the answer close it. `reasoning_tokens.csv` in the run's folder tells which of the new ids
were used; checkpoint 0 is the model before training.
"""

from dataclasses import replace

from grpo_jax.config import (
    CheckpointConfig,
    DataConfig,
    Domain,
    EvaluationConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.overrides import preset


def config() -> RunConfig:
    """20 steps of 4 prompts, 4 short answers to each."""
    return RunConfig(
        exp_name="reasoning_vocab_smollm2",
        model=replace(
            preset(__file__, "model", "smollm2_135m"),
            reasoning_vocab_size=8192,
            reasoning_tags=("<|im_start|>assistant", "answer is"),
        ),
        data=DataConfig(
            train_sources=(
                "math::reasoning_gym/chain_sum?min_terms=2&max_terms=2&min_digits=1&max_digits=1&size=500@train",
            ),
            prompts_per_step=4,
            max_prompt_tokens=96,
        ),
        domains={
            "math": Domain(
                prompt_template="{prompt}\nReply 'The answer is' and the number.",
                rewards={"reasoning_gym": 1.0, "answer_given": 0.5},
            )
        },
        sampling=SamplingConfig(group_size=4, temperature=0.8, max_completion_tokens=24, chunk_tokens=12),
        rewards=RewardsConfig(workers=1),
        training=TrainingConfig(max_steps=20, learning_rate=1e-5, microbatch_tokens=1024),
        evaluation=EvaluationConfig(every_steps=0),
        checkpoint=CheckpointConfig(every_steps=20),
    )
