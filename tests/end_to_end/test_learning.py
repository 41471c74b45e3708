# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Training raises the reward: the one thing that all the rest is for."""

from dataclasses import replace
from pathlib import Path

import pytest

from grpo_jax.config import EvaluationConfig, ObjectiveConfig
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.tiny_run import DOMAINS, tiny_run


@pytest.mark.parametrize("objective", ["grpo", "dr_grpo"])
def test_reward_rises_clearly_in_thirty_steps(objective: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # Noise follows problems' names: with relative paths it is the same at every run.
    config = tiny_run(
        Path(),
        domains={"plain": replace(DOMAINS["plain"], weight=1.0)},
        objective=ObjectiveConfig(name=objective),
        evaluation=EvaluationConfig(),
    )
    config = replace(
        config,
        data=replace(config.data, train_sources=config.data.train_sources[:1], eval_sources=()),
        training=replace(config.training, max_steps=30, learning_rate=1e-2, minibatches=1),
        checkpoint=replace(config.checkpoint, every_steps=0),
    )
    result = train(config)
    assert result.first_reward_mean < 0.6
    assert result.last_reward_mean > 0.85
    assert not list((result.run_folder / "checkpoints").iterdir())
    assert len(read_metrics(result.run_folder / "metrics.jsonl")) == 30
