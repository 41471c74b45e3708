# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What every kind of source offers: rows by number, and where each came from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

Row = Mapping[str, Any]


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
        """A short name of the row that is stable over runs and unique in the table."""
        ...

    def scan(self, fields: Sequence[str]) -> Iterator[Row]:
        """All rows in order, with at least these fields where a row has them; cheaper than `row` for each."""
        ...
