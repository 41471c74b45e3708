# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What every kind of source offers: rows by number, and where each came from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

Row = Mapping[str, Any]

Chunk = tuple[int, int, pa.RecordBatch | None]
"""First row, one past the last, and these rows as Arrow columns; None where they are to be had by `Rows.row` alone."""


@dataclass(frozen=True, slots=True)
class FileSpan:
    """Rows `start` to before `stop` of a table are those of the file at `path`, from its first on."""

    path: str
    start: int
    stop: int


class Rows(Protocol):
    """A lazily read table. Rows are numbered from 0; reading one does not read the others into Python objects."""

    def __len__(self) -> int: ...

    def row(self, index: int) -> Row:
        """One row as Python values."""
        ...

    def where(self, index: int) -> str:
        """The place of a row as a user finds it, for messages: file and line or row."""
        ...

    def name(self, index: int) -> str:
        """A short name of the row that is stable over runs and wherever the data lies, not always unique."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """All rows in order, in spans without gaps."""
        ...

    def files(self) -> Sequence[FileSpan]:
        """The files that hold the rows, in order; none where rows are from elsewhere."""
        ...
