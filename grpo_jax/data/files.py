# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of .parquet and .jsonl files and globs, read on demand.

Parquet is decoded by row group into Arrow memory, of which the latest groups are kept up to a limit; JSON Lines keep an
index of line offsets over a memory map. Neither holds a file's rows as Python objects.
"""

import bisect
import glob
import json
import mmap
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grpo_jax.data.rows import Row, Rows
from grpo_jax.records import ConfigError

_KEPT_ROW_GROUP_BYTES = 512 * 2**20


class ParquetRows:
    """The rows of one parquet file."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowInvalid, OSError) as error:
            raise ConfigError(f"{path} is not a readable parquet file: {_one_line(error)}") from error
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._ends = list(accumulate(sizes))
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def row(self, index: int) -> Row:
        """Read one row."""
        group = bisect.bisect_right(self._ends, index)
        start = self._ends[group - 1] if group else 0
        return self._group(group).slice(index - start, 1).to_pylist()[0]

    def where(self, index: int) -> str:
        """Place of a row, for messages."""
        return f"{self._path} row {index}"

    def name(self, index: int) -> str:
        """Name of a row, stable over runs."""
        return f"{self._path}#{index}"

    def scan(self, fields: Sequence[str]) -> Iterator[Row]:
        """All rows in order, with at least these fields."""
        columns = [field for field in fields if field in self._file.schema_arrow.names]
        if not columns:
            yield from ({} for _ in range(len(self)))
            return
        for batch in self._file.iter_batches(columns=columns):
            yield from batch.to_pylist()

    def _group(self, group: int) -> pa.Table:
        if group in self._groups:
            self._groups.move_to_end(group)
        else:
            self._groups[group] = self._file.read_row_group(group)
            while len(self._groups) > 1 and sum(t.nbytes for t in self._groups.values()) > _KEPT_ROW_GROUP_BYTES:
                self._groups.popitem(last=False)
        return self._groups[group]


class JsonlRows:
    """The rows of one JSON Lines file; blank lines are passed over."""

    def __init__(self, path: str) -> None:
        self._path = path
        offsets, lines, position = [], [], 0
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.isspace():
                    offsets.append(position)
                    lines.append(number)
                position += len(line)
            # An empty file cannot be mapped, and has no row to read.
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if position else b""
        self._offsets = np.array([*offsets, position], dtype=np.int64)
        self._lines = np.array(lines, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._lines)

    def row(self, index: int) -> Row:
        """Read one row."""
        # A slice may run over blank lines that follow, which JSON ignores.
        text = self._bytes[self._offsets[index] : self._offsets[index + 1]]
        try:
            row = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"{self.where(index)}: not valid JSON: {_one_line(error)}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{self.where(index)}: a row must be a JSON object, got {type(row).__name__}")
        return row

    def where(self, index: int) -> str:
        """Place of a row, for messages."""
        return f"{self._path}:{self._lines[index]}"

    def name(self, index: int) -> str:
        """Name of a row, stable over runs."""
        return f"{self._path}#{index}"

    def scan(self, fields: Sequence[str]) -> Iterator[Row]:
        """All rows in order, with at least these fields."""
        return (self.row(index) for index in range(len(self)))


class ConcatenatedRows:
    """Several tables one after another."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def row(self, index: int) -> Row:
        """Read one row."""
        part, inner = self._find(index)
        return part.row(inner)

    def where(self, index: int) -> str:
        """Place of a row, for messages."""
        part, inner = self._find(index)
        return part.where(inner)

    def name(self, index: int) -> str:
        """Name of a row, stable over runs."""
        part, inner = self._find(index)
        return part.name(inner)

    def scan(self, fields: Sequence[str]) -> Iterator[Row]:
        """All rows in order, with at least these fields."""
        for part in self._parts:
            yield from part.scan(fields)

    def _find(self, index: int) -> tuple[Rows, int]:
        number = bisect.bisect_right(self._ends, index)
        return self._parts[number], index - (self._ends[number - 1] if number else 0)


def open_file(path: str) -> Rows:
    """Open one file by its ending.

    Raises:
        ConfigError: The file is absent, unreadable, or neither .parquet nor .jsonl.
    """
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such file")
    if path.endswith(".parquet"):
        return ParquetRows(path)
    if path.endswith(".jsonl"):
        return JsonlRows(path)
    raise ConfigError(f"{path}: rows are read from files that end in .parquet or .jsonl")


def open_files(pattern: str) -> Rows:
    """Open a file or all files that a glob matches (`**` reaches into folders), in sorted order.

    Raises:
        ConfigError: No file matches, or one cannot be read.
    """
    paths = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise ConfigError(f"{pattern}: no such file")
    return open_file(paths[0]) if len(paths) == 1 else ConcatenatedRows([open_file(path) for path in paths])


def write_rows(path: str | Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as .parquet or .jsonl by the path's ending, making its folder.

    Raises:
        ConfigError: The path has another ending, or the rows' fields differ too much in type for parquet.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".jsonl"):
        raise ConfigError(f"{path}: rows are written to files that end in .parquet or .jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return
    try:
        table = pa.Table.from_pylist(list(rows))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ConfigError(
            f"{path}: parquet wants one type for a field in all rows, write .jsonl instead: {_one_line(error)}"
        ) from error
    pq.write_table(table, path, row_group_size=16_384)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
