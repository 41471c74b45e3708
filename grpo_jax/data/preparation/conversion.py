# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Converts the rows of a dataset's raw files one by one and keeps account of each."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpo_jax.data.preparation.raw_files import open_raw_file, split_from_name
from grpo_jax.data.preparation.registry import Preparation
from grpo_jax.data.preparation.report import LeftOut, PreparationReport
from grpo_jax.data.preparation.row_building import UnusableRowError
from grpo_jax.data.rows import Row
from grpo_jax.data.schema import problem_from_row
from grpo_jax.records import ConfigError

_PASSED_THROUGH = "rows of the problem schema already, taken as they are"


class Conversion:
    """The rows of one dataset on their way.

    Args:
        known: The dataset.
        split: The split of all rows; None for the one that each row's file or fields tell.
        options: Settings of the dataset's conversion.

    Attributes:
        faults: One line for each row that is not as its dataset publishes it.
    """

    def __init__(self, known: Preparation, split: str | None, options: Mapping[str, Any]) -> None:
        self.faults: list[str] = []
        self._known, self._split, self._options = known, split, options
        self._rows: list[dict[str, Any]] = []
        self._left_out: list[LeftOut] = []
        self._notes: Counter[str] = Counter()

    def add_file(self, path: Path, folder: Path) -> None:
        """Convert the rows of a file; those that cannot be used are noted.

        Args:
            path: The raw file.
            folder: Where to look for its split from, and what its name in the rows is relative to.

        Raises:
            ConfigError: The file as a whole cannot be read.
        """
        raw = open_raw_file(path)
        split = self._split or split_from_name(path, folder)
        for index in range(len(raw)):
            where = raw.where(index)
            try:
                row = self._converted(raw.row(index), path, split, index, where)
                problem_from_row(row, raw.name(index), where)
            except ConfigError as error:
                self._left_out.append(LeftOut.of(where, error))
                if not isinstance(error, UnusableRowError):
                    self.faults.append(str(error))
                continue
            extra = {**(row.get("extra_info") or {}), "file": path.relative_to(folder).as_posix()}
            self._rows.append({**row, "extra_info": extra})

    def rows(self) -> list[dict[str, Any]]:
        """Rows that all have the fields of each, null where absent, so that .parquet and .jsonl hold the same."""
        names = dict.fromkeys(name for row in self._rows for name in row)
        extras = dict.fromkeys(name for row in self._rows for name in row["extra_info"])
        return [
            {
                **{name: row.get(name) for name in names},
                "extra_info": {name: row["extra_info"].get(name) for name in extras},
            }
            for row in self._rows
        ]

    def report(self) -> PreparationReport:
        """What became of the rows so far."""
        total = len(self._rows) + len(self._left_out)
        return PreparationReport(total, len(self._rows), tuple(self._left_out), tuple(self._notes.items()))

    def _converted(self, row: Row, path: Path, split: str | None, index: int, where: str) -> dict[str, Any]:
        if "reward_model" in row and isinstance(row.get("prompt"), list):
            self._notes[_PASSED_THROUGH] += 1
            return dict(row)
        known = self._known
        if known.join is not None:
            row = known.join(row, path, where)
        split = split or known.split_of(row) or known.default_split
        made = known.convert_row(row, split, index, where, **self._options)
        note = known.note(made)
        self._notes.update([note] if note else [])
        return made
