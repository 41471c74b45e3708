# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Whole runs that sample ahead: evaluated, stopped and resumed."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from grpo_jax.config import ObjectiveConfig, RolloutConfig
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.tiny_run import tiny_run

STEPS = 4


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    """Slots for half of a step's prompts, which eight devices would round up."""
    devices = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda *_: devices)


def ahead_run(folder, name, **rollout):
    config = tiny_run(folder, exp_name=name, objective=ObjectiveConfig(correction="truncate", kl_coefficient=0.05))
    return replace(
        config,
        sampling=replace(config.sampling, carry_over=not rollout, slots=2, max_completion_tokens=24),
        rollout=RolloutConfig(**rollout),
        training=replace(config.training, max_steps=STEPS),
        evaluation=replace(config.evaluation, every_steps=2),
        checkpoint=replace(config.checkpoint, every_steps=1, keep=STEPS),
    )


def resumed_after(step, unbroken, config):
    """The run's lines where it had been killed after that step's checkpoint and began again."""
    folder = unbroken.run_folder.parent / config.exp_name
    shutil.copytree(unbroken.run_folder, folder)
    for later in range(step + 1, STEPS + 1):
        shutil.rmtree(folder / "checkpoints" / str(later))
    return read_metrics(train(config).run_folder / "metrics.jsonl")


def learned_lines(rows):
    return [row for row in rows if "objective/loss" in row]


def repeatable(row):
    timed = ("time/", "throughput/", "memory/", "reward_workers/")
    return {name: value for name, value in row.items() if not name.startswith(timed)}


def test_a_run_that_carries_over_is_evaluated_and_resumes_exactly(tmp_path):
    unbroken = train(ahead_run(tmp_path, "unbroken"))
    rows = read_metrics(unbroken.run_folder / "metrics.jsonl")
    assert len(learned_lines(rows)) == STEPS
    assert sum(row["rollout/carried_tokens"] for row in learned_lines(rows)) > 0
    assert sum("eval/plain/pass@1" in row for row in rows) == 3
    again = resumed_after(2, unbroken, ahead_run(tmp_path, "resumed"))
    assert [repeatable(row) for row in again] == [repeatable(row) for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("on_stale", ["correct", "drop"])
def test_a_run_on_stale_rollouts_trains_the_plans_mix_before_and_after_a_resume(tmp_path, on_stale):
    config = ahead_run(tmp_path, "unbroken", max_staleness=1, on_stale=on_stale)
    unbroken = train(config)
    plan = [row["domain_mix_count/plain"] for row in learned_lines(read_metrics(train_on_policy(config)))]
    again = resumed_after(2, unbroken, replace(config, exp_name="resumed"))
    for rows in (read_metrics(unbroken.run_folder / "metrics.jsonl"), again):
        lines = learned_lines(rows)
        assert [row["domain_mix_count/plain"] for row in lines] == plan
        assert np.isfinite([row["objective/loss"] for row in lines]).all()
        assert sum("eval/plain/pass@1" in row for row in rows) == 3
        # Two updates a step.
        assert 0 < max(row["rollout/staleness_max"] for row in lines) <= 2


def train_on_policy(config):
    """The log of the same run without sampling ahead."""
    return train(replace(config, exp_name="on_policy", rollout=RolloutConfig())).run_folder / "metrics.jsonl"
