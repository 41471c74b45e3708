# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What does learning one domain cost another? SmolLM2-135M on sums, divisors and syllogisms, one by one and together.

Command: grpo-jax study configs/forgetting_study.py
Hardware: 2 CPU cores, 24 GiB of memory; no GPU, no hub, no account.
Time: see README.md, section "Does it forget?", with the table and the picture.

Each mode gets 24 steps of 6 prompts with 8 answers each: `sequential` gives 8 steps to each domain in turn, `mixed`
draws 2 prompts of every domain in every step, `mixed_without_kl` does so without the KL term.
"""

from grpo_jax.config import (
    CheckpointConfig,
    DataConfig,
    Domain,
    EvaluationConfig,
    LoggingConfig,
    ObjectiveConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.overrides import preset

SUMS = "sums::reasoning_gym/chain_sum?min_terms=2&max_terms=2&min_digits=1&max_digits=1"
DIVISORS = "divisors::reasoning_gym/gcd?min_value=2&max_value=12"
SYLLOGISMS = "syllogisms::reasoning_gym/syllogism?allow_all=True"
REWARDS = {"reasoning_gym": 1.0, "answer_given": 0.5}


def config() -> RunConfig:
    """Three domains, 2 prompts of each a step, 8 short answers to each prompt."""
    number = "{prompt}\nReply 'The answer is' and the number."
    verdict = "{prompt}\nReply 'The answer is Yes.' or 'The answer is No.'"
    return RunConfig(
        exp_name="forgetting_study",
        model=preset(__file__, "model", "smollm2_135m"),
        data=DataConfig(
            train_sources=tuple(f"{source}&size=5000@train" for source in (SUMS, DIVISORS, SYLLOGISMS)),
            eval_sources=tuple(f"{source}&size=64@test" for source in (SUMS, DIVISORS, SYLLOGISMS)),
            prompts_per_step=6,
            max_prompt_tokens=96,
            mixing="balanced",
        ),
        domains={
            "sums": Domain(prompt_template=number, rewards=REWARDS),
            "divisors": Domain(prompt_template=number, rewards=REWARDS),
            "syllogisms": Domain(prompt_template=verdict, rewards=REWARDS),
        },
        sampling=SamplingConfig(group_size=8, temperature=0.8, max_completion_tokens=24, chunk_tokens=12),
        rewards=RewardsConfig(workers=1),
        objective=ObjectiveConfig(kl_coefficient=0.01),
        training=TrainingConfig(max_steps=24, learning_rate=1e-5, microbatch_tokens=4096),
        evaluation=EvaluationConfig(max_problems=48),
        checkpoint=CheckpointConfig(every_steps=8, keep=1),
        logging=LoggingConfig(completions_every_steps=4),
    )
