# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A complete run in seconds: the tiny model, two domains of made-up problems, scripted rewards."""

import json
from pathlib import Path
from typing import Any

from grpo_jax.config import (
    CheckpointConfig,
    DataConfig,
    Domain,
    EvaluationConfig,
    LoggingConfig,
    ModelConfig,
    ObjectiveConfig,
    ParallelConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from tests.fakes.scripted_reward import reward_name
from tests.fakes.tiny_model import write_tiny_model

NUM_PROBLEMS = 20

DOMAINS = {
    "plain": Domain(weight=2.0, rewards={reward_name("share_of_plain"): 1.0}),
    "strange": Domain(
        rewards={reward_name("share_of_strange"): 1.0, reward_name("length"): 0.01},
        temperature=0.8,
        max_completion_tokens=8,
    ),
}


def write_problems(path: Path, domain: str, split: str, count: int = NUM_PROBLEMS) -> Path:
    """Problems of the verl schema whose prompts differ in length and from one split to the other."""
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{domain} {split} {'x' * (number % 7)}{number}"}],
            "data_source": domain,
            "ability": "none",
            "reward_model": {"style": "rule", "ground_truth": str(number)},
            "extra_info": {"split": split, "index": number},
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def tiny_run(folder: Path, **sections: Any) -> RunConfig:
    """A run of two steps below `folder`, on one replica of the model a device.

    Args:
        folder: Gets `model/`, the problems' files and `out/`.
        sections: Fields of `RunConfig` to take the place of the ones here.
    """
    model = folder / "model"
    if not model.exists():
        write_tiny_model(model)
        for domain in DOMAINS:
            for split in ("train", "test"):
                write_problems(folder / f"{domain}_{split}.jsonl", domain, split)
    settings: dict[str, Any] = {
        "exp_name": "tiny",
        "output_dir": str(folder / "out"),
        "model": ModelConfig(path=str(model), dtype="float32"),
        "data": DataConfig(
            train_sources=tuple(f"{domain}::{folder}/{domain}_train.jsonl@train" for domain in DOMAINS),
            eval_sources=tuple(f"{domain}::{folder}/{domain}_test.jsonl@test" for domain in DOMAINS),
            prompts_per_step=4,
            max_prompt_tokens=48,
        ),
        "domains": DOMAINS,
        "sampling": SamplingConfig(group_size=4, max_completion_tokens=12, chunk_tokens=6),
        "rewards": RewardsConfig(workers=1),
        "objective": ObjectiveConfig(kl_coefficient=0.05),
        "training": TrainingConfig(max_steps=2, learning_rate=1e-3, minibatches=2, microbatch_tokens=256),
        "parallel": ParallelConfig(data=-1, fsdp=1),
        "evaluation": EvaluationConfig(every_steps=2, max_problems=3),
        "checkpoint": CheckpointConfig(every_steps=1),
        "logging": LoggingConfig(completions_every_steps=1),
    }
    return RunConfig(**{**settings, **sections})
