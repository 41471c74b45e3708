# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""metrics.jsonl: exact numbers, and a file that survives kills and resumes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.config import LoggingConfig
from grpo_jax.tracking.metrics import JsonlTracker, read_metrics
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.tracking.tracker import StepRecord, plain_numbers


@pytest.fixture
def path(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "metrics.jsonl"


def tracker_of(path):
    return JsonlTracker(RunFolder(path.parent.parent, path.parent.name), LoggingConfig(), {})


def write_steps(path, steps):
    writer = tracker_of(path)
    for step in steps:
        writer.write(StepRecord(step, {"reward/mean": step / 3}))
    writer.close()


def test_each_step_is_one_json_object(path):
    write_steps(path, [1, 2])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [{"step": 1, "reward/mean": 1 / 3}, {"step": 2, "reward/mean": 2 / 3}]


def test_line_is_on_disk_before_the_writer_is_closed(path):
    writer = tracker_of(path)
    writer.write(StepRecord(1, {"loss": 0.5}))
    assert read_metrics(path) == [{"step": 1, "loss": 0.5}]
    writer.close()


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_float32_and_its_python_float_give_equal_text(value):
    numpy_text = json.dumps(plain_numbers(1, {"x": np.float32(value)}))
    assert numpy_text == json.dumps(plain_numbers(1, {"x": float(value)}))
    assert json.loads(numpy_text)["x"] == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_value_that_is_not_finite_stops_naming_metric_and_step(path, value):
    with pytest.raises(ValueError, match=r"objective/loss .* step 7"):
        tracker_of(path).write(StepRecord(7, {"objective/loss": value}))
    assert not path.exists() or path.read_text() == ""


def test_truncation_drops_later_steps_and_writing_goes_on(path):
    write_steps(path, [1, 2, 3, 4])
    writer = tracker_of(path)
    writer.truncate_after(2)
    writer.write(StepRecord(3, {"reward/mean": 9.0}))
    writer.close()
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3]
    assert read_metrics(path)[-1]["reward/mean"] == 9.0


def test_truncation_leaves_the_kept_text_as_it_was(path):
    write_steps(path, [1, 2, 3])
    before = path.read_text().splitlines()[:2]
    tracker_of(path).truncate_after(2)
    assert path.read_text().splitlines() == before


@pytest.mark.parametrize("torn", ['{"step": 3, "reward/me', '{"step": 3, "reward/mean": 1.0}', "\x00\x00\n"])
def test_torn_last_line_is_dropped(path, torn):
    write_steps(path, [1, 2])
    with path.open("a") as file:
        file.write(torn)
    tracker_of(path).truncate_after(9)
    assert [row["step"] for row in read_metrics(path)] == [1, 2]
    assert path.read_text().endswith("\n")


def test_damage_before_the_last_line_is_reported_with_its_line(path):
    path.write_text('{"step": 1}\nbroken\n{"step": 3}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2"):
        tracker_of(path).truncate_after(9)


def test_minus_one_forgets_all_and_an_absent_file_is_nothing_to_truncate(path):
    tracker_of(path).truncate_after(3)
    assert not path.exists()
    write_steps(path, [0, 1])
    tracker_of(path).truncate_after(-1)
    assert read_metrics(path) == []
