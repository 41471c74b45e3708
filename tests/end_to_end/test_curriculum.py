# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run whose problems, buckets and temperatures follow a curriculum that learns."""

from dataclasses import replace
from pathlib import Path

import pytest

from grpo_jax.config import CurriculumConfig, EvaluationConfig, TrainingConfig
from grpo_jax.curriculum_config import AdaptiveConfig, DifficultyConfig, DifficultyRule, TemperaturePoint
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.tiny_run import DOMAINS, tiny_run


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    difficulty = DifficultyConfig(
        temperature_by_bucket={"easy": 0.5, "hard": 1.5},
        temperature_by_progress=(TemperaturePoint(0.0, 1.0), TemperaturePoint(1.0, 0.5)),
    )
    adaptive = AdaptiveConfig(buckets=True, problems=True, domain_weights=True, rest_after=1, rest_steps=2)
    config = tiny_run(
        Path(tmp_path_factory.mktemp("curriculum")),
        domains={**DOMAINS, "plain": replace(DOMAINS["plain"], difficulty=DifficultyRule(rule="prompt_length"))},
        curriculum=CurriculumConfig(difficulty=difficulty, adaptive=adaptive),
        training=TrainingConfig(max_steps=3, learning_rate=1e-3, microbatch_tokens=256),
        evaluation=EvaluationConfig(),
    )
    return read_metrics(train(config).run_folder / "metrics.jsonl")


def test_trainer_uses_the_temperature_that_each_prompt_was_sampled_at(rows: list[dict[str, float]]) -> None:
    assert len(rows) == 3
    for row in rows:
        assert 0 < row["mismatch/logprob_abs_max"] < 1e-5


def test_log_tells_mix_buckets_and_what_was_learned(rows: list[dict[str, float]]) -> None:
    for row in rows:
        assert row["domain_mix_count/plain"] + row["domain_mix_count/strange"] == 4
        assert row["domain_mix_target/plain"] + row["domain_mix_target/strange"] == pytest.approx(1)
        assert sum(row.get(f"curriculum/plain/{bucket}", 0.0) for bucket in ("easy", "medium", "hard")) in (0.0, 1.0)
        assert row["curriculum/resting"] >= 0
    assert rows[0]["domain_mix_target/plain"] == pytest.approx(2 / 3)
    assert rows[0]["curriculum/plain/easy_target"] == pytest.approx(0.7)
    rates = [row for row in rows if "curriculum/plain/solve_rate" in row]
    assert rates
    assert all(0 <= row["curriculum/plain/solve_rate"] <= 1 for row in rates)
