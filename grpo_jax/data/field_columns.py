# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One field of all problems of a source, out of its columns: reading a million rows one by one takes a minute."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grpo_jax.data.sources import ProblemSource

_TOP = ("difficulty", "extra_info", "data_source", "ability")
"""Columns whose values reach `records.Problem` as they are."""


def field_values(source: ProblemSource, key: str) -> list[Any] | None:
    """Values of a field by problem, None where a row lacks it.

    Args:
        source: Rows of the problem schema in Arrow columns; of any other the result is None.
        key: Dotted place in the row, as in `DifficultyRule.key`.
    """
    words = key.split(".")
    if words[0] not in _TOP:
        return None
    found = np.full(len(source.rows), None, dtype=object)
    for start, stop, batch in source.rows.chunks():
        values = None if batch is None or "reward_model" not in batch.schema.names else _values(batch, words)
        if values is None:
            return None
        found[start:stop] = values
    return found[source.numbers].tolist()


def _values(batch: pa.RecordBatch, words: list[str]) -> list[Any] | None:
    """The field of a batch's rows, or None where a struct on its way is no Arrow struct."""
    absent: list[Any] = [None] * len(batch)
    if words[0] not in batch.schema.names:
        return absent
    column = batch.column(words[0])
    for word in words[1:]:
        if not pa.types.is_struct(column.type):
            return None
        if column.type.get_field_index(word) < 0:
            return absent
        column = pc.struct_field(column, word)  # pyright: ignore[reportAttributeAccessIssue]
    return column.to_pylist()
