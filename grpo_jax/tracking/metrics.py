# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of each step: the writers' protocol, metrics.jsonl, and all writers of a run behind one call."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from grpo_jax.config import LoggingConfig
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically


class Writer(Protocol):
    """A destination of metrics."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write one step's metrics durably."""
        ...

    def truncate_after(self, step: int) -> None:
        """Forget everything after `step`, before a resumed run writes it again; -1 forgets all."""
        ...

    def close(self) -> None:
        """Release files; nothing is written afterwards."""
        ...


class JsonlWriter:
    """One JSON object a line, `{"step": 1, "reward/mean": 0.25, ...}`, on disk before `write` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a line; equal floats give equal text (the shortest decimal that reads back to the same float64)."""
        line = json.dumps({"step": step, **plain_numbers(step, metrics)}, allow_nan=False)
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(line + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def truncate_after(self, step: int) -> None:
        """Drop lines after `step`, and a last line that a kill has torn, in one replacement of the file."""
        self.close()
        if self._path.exists():
            kept = [row for row in read_metrics(self._path) if row["step"] <= step]
            write_text_atomically(self._path, "".join(json.dumps(row) + "\n" for row in kept))

    def close(self) -> None:
        """Close the file; a later `write` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


class MetricsWriters:
    """All writers of a run as one."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = tuple(writers)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write one step's metrics everywhere."""
        for writer in self._writers:
            writer.write(step, metrics)

    def truncate_after(self, step: int) -> None:
        """Forget everything after `step` everywhere; -1 forgets all."""
        for writer in self._writers:
            writer.truncate_after(step)

    def close(self) -> None:
        """Close all writers."""
        for writer in self._writers:
            writer.close()


def open_writers(folder: RunFolder, settings: LoggingConfig) -> MetricsWriters:
    """The writers that the settings ask for; metrics.jsonl always, as the report is made from it."""
    writers: list[Writer] = [JsonlWriter(folder.metrics)]
    if settings.tensorboard:
        from grpo_jax.tracking.tensorboard import TensorBoardWriter

        writers.append(TensorBoardWriter(folder.tensorboard))
    return MetricsWriters(writers)


def plain_numbers(step: int, metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics as Python numbers, whole numbers kept whole.

    Raises:
        ValueError: A value is not finite; the message names the metric and the step.
    """
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        number = value if isinstance(value, int) else float(value)
        if not math.isfinite(number):
            raise ValueError(f"metric {name} is {number} at step {step}")
        plain[name] = number
    return plain


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics.jsonl; a torn last line is left out.

    Raises:
        ValueError: A line other than the last is no JSON object with a step.
    """
    lines = path.read_text(encoding="utf-8").split("\n")
    whole, tail = lines[:-1], lines[-1]  # text after the last newline is a line whose end was never written
    rows: list[dict[str, float]] = []
    for number, line in enumerate(whole, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(whole) and not tail:
                break  # a file system may keep the newline and lose the bytes before it
            raise ValueError(f"{path}:{number} is no JSON object: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            raise ValueError(f"{path}:{number} has no step")
        rows.append(row)
    return rows
