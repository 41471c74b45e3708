# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A number from 1 to 64 in at most seven guesses: SmolLM2-135M learns to search by asking.

Command: grpo-jax train configs/guessing_game.py
Hardware: 2 CPU cores, 24 GiB of memory; any accelerator makes it minutes.
Shows a rollout function: seven turns of a game, the game's words masked from the loss, a guess within what the earlier
answers allow worth 0.1 by itself, credited turn by turn.
"""

from pathlib import Path

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
from grpo_jax.rollout_config import RolloutConfig

SECRETS = f"game::{Path(__file__).parent}/data/guess_number.jsonl"


def config() -> RunConfig:
    """Eight secrets a step, eight games of each."""
    return RunConfig(
        exp_name="guessing_game",
        model=preset(__file__, "model", "smollm2_135m"),
        data=DataConfig(train_sources=(SECRETS,), eval_sources=(SECRETS,), prompts_per_step=8, max_prompt_tokens=96),
        domains={
            "game": Domain(
                rewards={}, rollout="guess_number", rollout_settings={"guesses": 7, "consistent_reward": 0.1}
            )
        },
        sampling=SamplingConfig(group_size=8, temperature=1.0, max_completion_tokens=160, chunk_tokens=4),
        rollout=RolloutConfig(max_turns=7, max_turn_tokens=4, credit="discounted"),
        rewards=RewardsConfig(workers=1),
        objective=ObjectiveConfig(kl_coefficient=0.01),
        training=TrainingConfig(max_steps=60, learning_rate=1e-5, warmup_steps=2, microbatch_tokens=4096),
        evaluation=EvaluationConfig(every_steps=20, max_problems=64),
        checkpoint=CheckpointConfig(every_steps=10),
        logging=LoggingConfig(completions_every_steps=10),
    )
