# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of record batches, in memory and in a file."""

import tempfile

import pyarrow as pa
import pytest

from grpo_jax.data.arrow_rows import MemoryBudget, store_batches
from grpo_jax.records import ConfigError

ROWS = [
    {
        "text": None if i % 7 == 0 else f"text {i} é" * 20,
        "messages": [{"role": "user", "content": str(j)} for j in range(i % 3)],
        "whole": {"a": i, "b": [1.5, None], "c": {"d": None}},
        "partly": None if i % 5 == 0 else {"a": i},
    }
    for i in range(300)
]


def batches(size=40):
    return pa.Table.from_pylist(ROWS).to_batches(max_chunksize=size)


@pytest.mark.parametrize("budget", [10**9, 20_000, 0])
def test_rows_are_the_same_in_memory_and_in_a_file(budget):
    stored = store_batches(iter(batches()), MemoryBudget(budget), "rows")
    assert len(stored) == 300
    assert [stored.row(i) for i in reversed(range(300))] == ROWS[::-1]
    found = []
    for start, stop, batch in stored.chunks():
        assert start == len(found)
        assert batch is not None
        found += batch.to_pylist()
        assert stop == len(found)
    assert found == ROWS


def test_file_has_no_name_left_and_memory_is_spent_from_the_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    size = sum(batch.nbytes for batch in batches())
    budget = MemoryBudget(size + 1)
    store_batches(batches(), budget, "rows")
    assert budget.left == 1
    stored = store_batches(batches(), budget, "rows")
    assert list(tmp_path.iterdir()) == []
    assert stored.row(299) == ROWS[299]


def test_pages_given_back_are_read_again(monkeypatch):
    monkeypatch.setattr("grpo_jax.data.arrow_rows._READS_BETWEEN_RELEASES", 3)
    stored = store_batches(batches(), MemoryBudget(0), "rows")
    assert [stored.row(i) for i in range(300)] == ROWS


def test_folder_without_room_is_named(tmp_path, monkeypatch):
    class Full:
        def __init__(self, *_):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pa.ipc, "new_file", Full)
    with pytest.raises(ConfigError, match=r"rows\.parquet: .*No space left.*set TMPDIR"):
        store_batches(batches(), MemoryBudget(0), "rows.parquet")
    assert list(tmp_path.iterdir()) == []


def test_no_batches_are_no_rows():
    assert len(store_batches([], MemoryBudget(0), "rows")) == 0
