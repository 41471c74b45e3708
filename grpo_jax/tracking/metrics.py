# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""metrics.jsonl: the figures of each step, written durably and read back."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from grpo_jax.logging_config import LoggingConfig
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically
from grpo_jax.tracking.tracker import StepRecord, Tracker, plain_numbers


class JsonlTracker(Tracker):
    """One JSON object a line, `{"step": 1, "reward/mean": 0.25, ...}`, on disk before `write` returns."""

    def __init__(self, folder: RunFolder, settings: LoggingConfig, config: Mapping[str, Any]) -> None:
        self._path = folder.metrics
        self._file: IO[str] | None = None

    def write(self, record: StepRecord) -> None:
        """Append a line; equal floats give equal text (the shortest decimal that reads back to the same float64)."""
        line = json.dumps({"step": record.step, **plain_numbers(record.step, record.metrics)}, allow_nan=False)
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
