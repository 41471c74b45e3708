# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run whose sampling has devices of its own learns what it would learn on one mesh, and may sample ahead on them."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from grpo_jax.config import EvaluationConfig, ObjectiveConfig, ParallelConfig, RolloutConfig, RunConfig
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.tiny_run import tiny_run

pytestmark = pytest.mark.slow

FOUR = 4


def run(folder: Path, num_devices: int, config: RunConfig) -> tuple[list[dict[str, float]], list[dict]]:
    """The log and the completions of the last step."""
    devices = jax.devices()[:num_devices]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda *_: devices)
        result = train(config, resume="never")
    (shown,) = (result.run_folder / "completions").glob("step-000002.jsonl")
    rows = [json.loads(line) for line in shown.read_text(encoding="utf-8").splitlines()]
    return read_metrics(result.run_folder / "metrics.jsonl"), rows


def make_config(folder: Path, name: str, **sections) -> RunConfig:
    config = tiny_run(folder, exp_name=name, evaluation=EvaluationConfig(every_steps=0), **sections)
    return replace(config, checkpoint=replace(config.checkpoint, every_steps=0))


def test_tokens_and_losses_are_those_of_one_mesh(tmp_path):
    apart = ParallelConfig(fsdp=-1, rollout_devices=FOUR)
    found, shown = run(tmp_path, 2 * FOUR, make_config(tmp_path, "apart", parallel=apart))
    wanted, also_shown = run(tmp_path, FOUR, make_config(tmp_path, "together", parallel=ParallelConfig(fsdp=-1)))
    assert [row["text"] for row in shown] == [row["text"] for row in also_shown]
    for own, other in zip(found, wanted, strict=True):
        for name in ("objective/loss", "objective/grad_norm", "reward/mean", "mismatch/logprob_abs_mean"):
            assert own[name] == pytest.approx(other[name], rel=1e-4, abs=1e-6)


def test_sampling_ahead_has_its_own_devices(tmp_path):
    sections = {
        "parallel": ParallelConfig(fsdp=-1, rollout_devices=2),
        "rollout": RolloutConfig(max_staleness=1),
        "objective": ObjectiveConfig(correction="truncate"),
    }
    rows, shown = run(tmp_path, 6, make_config(tmp_path, "ahead", **sections))
    assert rows[-1]["step"] == 2
    assert len(shown) == 16
