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
from grpo_jax.tracking.metrics import JsonlWriter, open_writers, plain_numbers, read_metrics
from grpo_jax.tracking.run_folder import RunFolder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def write_steps(path, steps):
    writer = JsonlWriter(path)
    for step in steps:
        writer.write(step, {"reward/mean": step / 3})
    writer.close()


def test_each_step_is_one_json_object(path):
    write_steps(path, [1, 2])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [{"step": 1, "reward/mean": 1 / 3}, {"step": 2, "reward/mean": 2 / 3}]


def test_line_is_on_disk_before_the_writer_is_closed(path):
    writer = JsonlWriter(path)
    writer.write(1, {"loss": 0.5})
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
        JsonlWriter(path).write(7, {"objective/loss": value})
    assert not path.exists() or path.read_text() == ""


def test_truncation_drops_later_steps_and_writing_goes_on(path):
    write_steps(path, [1, 2, 3, 4])
    writer = JsonlWriter(path)
    writer.truncate_after(2)
    writer.write(3, {"reward/mean": 9.0})
    writer.close()
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3]
    assert read_metrics(path)[-1]["reward/mean"] == 9.0


def test_truncation_leaves_the_kept_text_as_it_was(path):
    write_steps(path, [1, 2, 3])
    before = path.read_text().splitlines()[:2]
    JsonlWriter(path).truncate_after(2)
    assert path.read_text().splitlines() == before


@pytest.mark.parametrize("torn", ['{"step": 3, "reward/me', '{"step": 3, "reward/mean": 1.0}', "\x00\x00\n"])
def test_torn_last_line_is_dropped(path, torn):
    write_steps(path, [1, 2])
    with path.open("a") as file:
        file.write(torn)
    JsonlWriter(path).truncate_after(9)
    assert [row["step"] for row in read_metrics(path)] == [1, 2]
    assert path.read_text().endswith("\n")


def test_damage_before_the_last_line_is_reported_with_its_line(path):
    path.write_text('{"step": 1}\nbroken\n{"step": 3}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2"):
        JsonlWriter(path).truncate_after(9)


def test_minus_one_forgets_all_and_an_absent_file_is_nothing_to_truncate(path):
    JsonlWriter(path).truncate_after(3)
    assert not path.exists()
    write_steps(path, [0, 1])
    JsonlWriter(path).truncate_after(-1)
    assert read_metrics(path) == []


def test_tensorboard_gets_the_same_scalars_and_is_optional(tmp_path):
    folder = RunFolder(tmp_path, "a")
    folder.create()
    writers = open_writers(folder, LoggingConfig(tensorboard=True))
    writers.write(1, {"reward/mean": 0.5})
    writers.truncate_after(0)
    writers.write(1, {"reward/mean": 0.25})
    writers.close()
    assert len(list(folder.tensorboard.glob("events.*"))) >= 1
    assert read_metrics(folder.metrics) == [{"step": 1, "reward/mean": 0.25}]

    other = RunFolder(tmp_path, "b")
    other.create()
    writers = open_writers(other, LoggingConfig(tensorboard=False))
    writers.write(1, {"reward/mean": 0.5})
    writers.close()
    assert not other.tensorboard.exists()
