# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a loop says through one object: files when they are due, each warning once, also across a resume."""

import json
import logging
from dataclasses import asdict

import pytest

from grpo_jax.config import LoggingConfig, RunConfig
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.tracking.run_log import RunLog
from grpo_jax.tracking.step_samples import step_samples
from tests.fakes.groups import make_group

GROUPS = [make_group([1, 2], [[5, 6], [7]], [1.0, 0.0]), make_group([3], [[5], [7, 7, 7]], [None, 0.5], domain="other")]
ADVANTAGES = [[1.0, -1.0], [0.0, 0.0]]


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path, "run")
    made.create()
    return made


def run(folder, steps, logging_config, total=10, done=0):
    config = RunConfig(exp_name="run", output_dir=str(folder.output_dir), logging=logging_config)
    log = RunLog(folder, config, {"seed": 0})
    log.truncate_after(done if done else -1)
    with log.running(done, total, dict):
        for step in steps:
            log.look(step, GROUPS, ADVANTAGES)
            log.write(step, {"reward/mean": 0.1 * step, "kl/mean": 1.0})
            yield step
    log.close()


def test_report_is_renewed_while_the_run_goes_on(folder):
    settings = LoggingConfig(tensorboard=False, report_every_steps=2)
    written = {}
    for step in run(folder, range(1, 6), settings):
        written[step] = folder.report.stat().st_mtime_ns if folder.report.exists() else None
    assert written[1] is None
    assert written[2] == written[3]
    assert written[2] < written[4] == written[5]
    assert not folder.plots.exists()


def test_completions_come_when_due_and_with_the_first_and_last_step(folder):
    for _ in run(folder, range(1, 11), LoggingConfig(tensorboard=False, completions_every_steps=4)):
        pass
    assert sorted(path.name for path in folder.completions.iterdir()) == [
        f"step-{step:06d}.jsonl" for step in (1, 4, 8, 10)
    ]
    rows = [json.loads(line) for line in (folder.completions / "step-000004.jsonl").read_text().splitlines()]
    assert [row["total"] for row in rows] == [1.0, 0.0, None, 0.5]


def test_warning_is_said_once_also_by_a_resumed_run(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="grpo_jax"):
        for _ in run(folder, range(1, 8), LoggingConfig(tensorboard=False)):
            pass
        assert [record.message.partition(";")[0] for record in caplog.records] == [
            "step 5: the KL to the reference is 1 nats a token, above logging.warnings.max_kl=0.5"
        ]
        caplog.clear()
        for _ in run(folder, range(7, 11), LoggingConfig(tensorboard=False), done=6):
            pass
        assert caplog.records == []
    assert [row["step"] for row in read_metrics(folder.metrics)] == [*range(1, 11)]


def test_samples_show_spreads_and_the_best_and_worst_of_each_domain():
    found = step_samples(GROUPS, ADVANTAGES)
    assert {name: values.tolist() for name, values in found.histograms.items()} == {
        "lengths/plain": [2.0, 1.0],
        "advantages/plain": [1.0, -1.0],
        "rewards/plain": [1.0, 0.0],
        "lengths/other": [1.0, 3.0],
        "advantages/other": [0.0, 0.0],
        "rewards/other": [0.5],
    }
    assert found.texts["samples/plain"].index("reward 1") < found.texts["samples/plain"].index("reward 0")
    assert set(asdict(found)["texts"]) == {"samples/plain", "samples/other"}
