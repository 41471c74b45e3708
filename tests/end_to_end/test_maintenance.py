# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run on a host that is about to be taken away, and whose clock is set back all the while."""

import itertools
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from grpo_jax.config import CheckpointConfig, EvaluationConfig, LoggingConfig
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from grpo_jax.training.maintenance_notice import ADDRESS_VARIABLE
from tests.fakes.metadata_server import MetadataServer, metadata_server
from tests.fakes.tiny_run import tiny_run


def announce_after_first_step(server: MetadataServer, log: Path, over: threading.Event) -> None:
    while not over.wait(0.02):
        if log.exists() and read_metrics(log):
            server.values["maintenance-event"] = "TERMINATE_ON_HOST_MAINTENANCE"
            return


@pytest.mark.slow
def test_a_notice_ends_the_step_saves_and_the_next_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_run(
        tmp_path,
        evaluation=EvaluationConfig(),
        checkpoint=CheckpointConfig(every_steps=1000, every_minutes=60),
        logging=LoggingConfig(enabled=False),
    )
    log, over = Path(config.output_dir) / "tiny" / "metrics.jsonl", threading.Event()
    backwards = itertools.count(int(time.time()), -3600)
    long = replace(config, training=replace(config.training, max_steps=1000))
    with metadata_server() as server, monkeypatch.context() as patch:
        patch.setenv(ADDRESS_VARIABLE, server.address)
        patch.setattr(time, "time", lambda: float(next(backwards)))
        thread = threading.Thread(target=announce_after_first_step, args=(server, log, over))
        thread.start()
        result = train(long)
        over.set()
        thread.join()
    assert not result.finished
    assert 1 <= result.steps < 1000
    assert (result.run_folder / "checkpoints" / str(result.steps)).is_dir()
    assert "stopped by the notice maintenance-event=TERMINATE_ON_HOST" in (result.run_folder / "log.txt").read_text()
    again = train(replace(config, training=replace(config.training, max_steps=result.steps + 1)))
    assert again.finished
    assert [row["step"] for row in read_metrics(log)] == [*range(1, result.steps + 2)]
