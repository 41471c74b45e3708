# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of .parquet and .jsonl files, globs and folders, read on demand.

Parquet is unpacked once, when the first row is asked for, into a store that does not grow in memory (`arrow_rows.py`);
JSON Lines keep an index of line offsets over a memory map. Neither holds a file's rows as Python objects.
"""

import bisect
import glob
import json
import mmap
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grpo_jax.data.arrow_rows import ArrowRows, MemoryBudget, store_batches
from grpo_jax.data.rows import Chunk, FileSpan, Row, Rows
from grpo_jax.data.schema import FIELDS
from grpo_jax.records import ConfigError

ENDINGS = (".parquet", ".jsonl")
_BYTES_IN_MEMORY = 128 * 2**20  # of one source's unpacked parquet
_BATCH_ROWS = 8192


class ParquetRows:
    """The rows of one parquet file; of a file of the problem schema, with the fields of the schema alone.

    Args:
        path: The file.
        budget: Memory for its rows, shared with the other files of a source.
    """

    def __init__(self, path: str, budget: MemoryBudget) -> None:
        self._path, self._name = path, Path(path).name
        self._budget = budget
        with self._open() as file:
            self._size = file.metadata.num_rows
        self._unpacked: ArrowRows | None = None

    def __len__(self) -> int:
        return self._size

    def row(self, index: int) -> Row:
        """Read one row."""
        return self._store().row(index)

    def where(self, index: int) -> str:
        """Place of a row, for messages."""
        return f"{self._path} row {index}"

    def name(self, index: int) -> str:
        """File name and number of a row."""
        return f"{self._name}#{index}"

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order, as Arrow columns."""
        return self._store().chunks()

    def files(self) -> Sequence[FileSpan]:
        """This file."""
        return (FileSpan(self._path, 0, len(self)),)

    def _open(self) -> pq.ParquetFile:
        try:
            # Buffered reading, since a column of a row group can be as large as the file.
            return pq.ParquetFile(self._path, buffer_size=2**20, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"{self._path} is not a readable parquet file: {_one_line(error)}") from error

    def _store(self) -> ArrowRows:
        if self._unpacked is None:
            self._unpacked = store_batches(self._decoded(), self._budget, self._path)
        return self._unpacked

    def _decoded(self) -> Iterator[pa.RecordBatch]:
        with self._open() as file:
            names = file.schema_arrow.names
            columns = [name for name in names if name in FIELDS] if "reward_model" in names else names
            try:
                yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=columns)
            except (pa.ArrowException, OSError) as error:
                raise ConfigError(f"{self._path} is damaged, copy it anew: {_one_line(error)}") from error


class JsonlRows:
    """The rows of one JSON Lines file; blank lines are passed over."""

    def __init__(self, path: str) -> None:
        self._path, self._name = path, Path(path).name
        offsets, lines, position = array("q"), array("q"), 0
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.isspace():
                    offsets.append(position)
                    lines.append(number)
                position += len(line)
            # An empty file cannot be mapped, and has no row to read.
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if position else b""
        offsets.append(position)
        self._offsets = np.array(offsets, dtype=np.int64)
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
        """File name and number of a row."""
        return f"{self._name}#{index}"

    def chunks(self) -> Iterator[Chunk]:
        """One span of all rows."""
        yield 0, len(self), None

    def files(self) -> Sequence[FileSpan]:
        """This file."""
        return (FileSpan(self._path, 0, len(self)),)


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
        """Name of a row in its own table."""
        part, inner = self._find(index)
        return part.name(inner)

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order, table by table."""
        for part, end in zip(self._parts, self._ends, strict=True):
            first = end - len(part)
            for start, stop, batch in part.chunks():
                yield first + start, first + stop, batch

    def files(self) -> Sequence[FileSpan]:
        """The files of all tables."""
        return [
            FileSpan(span.path, end - len(part) + span.start, end - len(part) + span.stop)
            for part, end in zip(self._parts, self._ends, strict=True)
            for span in part.files()
        ]

    def _find(self, index: int) -> tuple[Rows, int]:
        number = bisect.bisect_right(self._ends, index)
        return self._parts[number], index - (self._ends[number - 1] if number else 0)


def open_file(path: str, budget: MemoryBudget | None = None) -> Rows:
    """Open one file by its ending.

    Args:
        path: The file.
        budget: Memory for unpacked parquet, shared with other files; None is a budget of its own.

    Raises:
        ConfigError: The file is absent, unreadable, or neither .parquet nor .jsonl.
    """
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such file")
    if not path.endswith(ENDINGS):
        raise ConfigError(f"{path}: rows are read from files that end in .parquet or .jsonl")
    if path.endswith(".jsonl"):
        return JsonlRows(path)
    return ParquetRows(path, budget or MemoryBudget(_BYTES_IN_MEMORY))


def open_files(pattern: str) -> Rows:
    """Open a file, all files that a glob matches (`**` reaches into folders), or those of a folder, in sorted order.

    Raises:
        ConfigError: No file matches, or one cannot be read.
    """
    if Path(pattern).is_dir():
        paths = sorted(str(path) for path in Path(pattern).iterdir() if path.name.endswith(ENDINGS))
        if not paths:
            raise ConfigError(
                f"{pattern}: the folder holds no .jsonl or .parquet file; "
                "`grpo-jax prepare` makes them from raw public datasets"
            )
    elif Path(pattern).is_file():
        paths = [pattern]
    else:
        paths = sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise ConfigError(f"{pattern}: {'no file matches' if glob.has_magic(pattern) else 'no such file'}")
    budget = MemoryBudget(_BYTES_IN_MEMORY)
    return open_file(paths[0], budget) if len(paths) == 1 else ConcatenatedRows([open_file(p, budget) for p in paths])


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
