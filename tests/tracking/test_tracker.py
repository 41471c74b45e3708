# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers as a run uses them: what each writes, that a resume repeats no step, and that another one is one class."""

import json
import sys
import time

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from grpo_jax.config import LoggingConfig
from grpo_jax.logging_config import WandbConfig
from grpo_jax.records import ConfigError
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.tracking.tracker import StepRecord, Tracker, open_trackers

CONFIG = {"training": {"learning_rate": 0.5, "optimizer": "lion"}, "domains": {"math": {"rewards": ["a"]}}, "seed": 3}

RICH = StepRecord(
    1,
    {"reward/mean": 0.25, "length/mean": 7},
    {"rewards/math": np.array([0.0, 0.5, 1.0])},
    {"samples/math": "    <b>two</b>"},
)


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path, "run")
    made.create()
    return made


def events(folder):
    """All events of a folder, read from the files' records: length, its checksum, data, its checksum."""
    found = []
    for path in sorted(folder.tensorboard.glob("events.*")):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            found.append(Event.FromString(data[12 : 12 + size]))
            data = data[12 + size + 4 :]
    return found


def values(folder, tag):
    return [(event.step, value) for event in events(folder) for value in event.summary.value if value.tag == tag]


def run(folder, records, settings=None, truncate=None):
    trackers = open_trackers(folder, settings or LoggingConfig(), CONFIG)
    if truncate is not None:
        trackers.truncate_after(truncate)
    for record in records:
        trackers.write(record)
    trackers.close()


def test_tensorboard_gets_scalars_histograms_texts_and_hyperparameters(folder):
    run(folder, [RICH])
    ((step, scalar),) = values(folder, "reward/mean")
    assert (step, scalar.simple_value) == (1, 0.25)
    ((_, histogram),) = values(folder, "rewards/math")
    assert (histogram.histo.num, histogram.histo.sum) == (3, 1.5)
    ((_, text),) = values(folder, "samples/math/text_summary")
    assert text.tensor.string_val == [b"    <b>two</b>"]
    tags = [value.tag for event in events(folder) for value in event.summary.value]
    assert "_hparams_/session_start_info" in tags
    ((_, started),) = values(folder, "_hparams_/session_start_info")
    assert b"training.learning_rate" in started.metadata.plugin_data.content
    assert b"lion" in started.metadata.plugin_data.content


def test_hyperparameters_are_written_once_and_in_no_folder_of_their_own(folder):
    run(folder, [RICH])
    run(folder, [StepRecord(2, {"reward/mean": 0.5})], truncate=1)
    assert len(values(folder, "_hparams_/experiment")) == 1
    assert [path for path in folder.tensorboard.iterdir() if path.is_dir()] == []


def test_a_resumed_run_has_tensorboard_hide_what_it_writes_again(folder):
    run(folder, [StepRecord(step, {"reward/mean": float(step)}) for step in (1, 2, 3)])
    run(folder, [StepRecord(3, {"reward/mean": 9.0})], truncate=2)
    started = [event.session_log.status for event in events(folder) if event.HasField("session_log")]
    assert len(started) >= 1  # SessionLog.START is what makes TensorBoard purge the steps from it on
    assert [event.step for event in events(folder) if event.HasField("session_log")][-1] == 3


def test_a_run_started_afresh_leaves_nothing_of_the_old_one(folder):
    run(folder, [RICH])
    run(folder, [StepRecord(1, {"reward/mean": 0.75})], truncate=-1)
    assert [value.simple_value for _, value in values(folder, "reward/mean")] == [0.75]
    assert read_metrics(folder.metrics) == [{"step": 1, "reward/mean": 0.75}]


def test_a_value_that_is_not_finite_reaches_no_tracker(folder):
    with pytest.raises(ValueError, match="reward/mean is nan at step 1"):
        run(folder, [StepRecord(1, {"reward/mean": float("nan")})])
    assert not folder.metrics.exists()
    assert not folder.tensorboard.exists()


@pytest.mark.parametrize("settings", [LoggingConfig(tensorboard=False), LoggingConfig(enabled=False)])
def test_what_is_off_writes_nothing_and_metrics_jsonl_is_always_on(folder, settings):
    run(folder, [RICH], settings)
    assert not folder.tensorboard.exists()
    assert len(read_metrics(folder.metrics)) == 1


class Diary(Tracker):
    """Another tracker: one class."""

    entries: list = []  # noqa: RUF012  shared on purpose, the test reads it

    def __init__(self, folder, settings, config):
        self.seed = config["seed"]

    def write(self, record):
        self.entries.append((self.seed, record.step, record.metrics["reward/mean"]))

    def truncate_after(self, step):
        self.entries[:] = [entry for entry in self.entries if entry[1] <= step]

    def close(self):
        self.entries.append("closed")


def test_another_tracker_is_named_by_its_dotted_path(folder):
    Diary.entries.clear()
    run(folder, [RICH], LoggingConfig(trackers=(f"{__name__}.Diary",)), truncate=-1)
    assert sys.modules[__name__].Diary.entries == [(3, 1, 0.25), "closed"]


@pytest.mark.parametrize(
    ("path", "mentioned"),
    [("absent.module.Name", "cannot be imported"), ("json.dumps", "not a subclass"), ("nodots", "not a subclass")],
)
def test_what_is_no_tracker_is_named(folder, path, mentioned):
    with pytest.raises(ConfigError, match=f"logging.trackers: .*{mentioned}"):
        open_trackers(folder, LoggingConfig(trackers=(path,)), CONFIG)


def test_missing_wandb_is_answered_with_the_extra_that_brings_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # what Python itself does for a module that must not be found
    with pytest.raises(ConfigError, match=r"pip install grpo-jax\[wandb\]"):
        open_trackers(folder, LoggingConfig(wandb=WandbConfig(mode="offline")), CONFIG)
    assert open_trackers(folder, LoggingConfig(), CONFIG)


def test_wandb_offline_goes_on_as_the_same_run_without_repeated_steps(folder, monkeypatch):
    pytest.importorskip("wandb", reason="the extra [wandb] is not installed")
    monkeypatch.setenv("WANDB_SILENT", "true")
    settings = LoggingConfig(tensorboard=False, wandb=WandbConfig(mode="offline", project="p", tags=("t",)))
    run(folder, [RICH, *(StepRecord(step, {"reward/mean": float(step)}) for step in (2, 3))], settings)
    first = json.loads((folder.path / "wandb" / "grpo_jax_run.json").read_text())
    run(folder, [StepRecord(step, {"reward/mean": float(step)}) for step in (3, 4)], settings, truncate=2)
    again = json.loads((folder.path / "wandb" / "grpo_jax_run.json").read_text())
    assert (first["last_step"], again["last_step"]) == (3, 4)
    assert again["id"] == first["id"]
    deadline = time.monotonic() + 60
    while offline_steps(folder)[1] == [] and time.monotonic() < deadline:
        time.sleep(0.2)  # wandb's own process writes the file a moment after the run is finished
    assert offline_steps(folder) == [[1, 2, 3], [4]]
    run(folder, [RICH], settings, truncate=-1)
    assert json.loads((folder.path / "wandb" / "grpo_jax_run.json").read_text())["id"] != first["id"]


def offline_steps(folder):
    """For each offline run, in order of time, the steps that its file holds.

    The file is a seven-byte header and LevelDB's log: blocks of 32 KiB with records of checksum (4 bytes), length (2),
    type (1: whole, 2 to 4: first, middle and last part) and data.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for path in sorted((folder.path / "wandb").glob("offline-run-*/*.wandb")):  # named by their time
        data, place, pending, steps = path.read_bytes(), 7, b"", []
        while place + 7 <= len(data):
            if 32_768 - place % 32_768 < 7:
                place += 32_768 - place % 32_768
            size, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
            pending += data[place + 7 : place + 7 + size]
            place += 7 + size
            if kind in (1, 4):
                record, pending = Record.FromString(pending), b""
                if record.WhichOneof("record_type") == "history":
                    steps.append(record.history.step.num)
        found.append(steps)
    return found
