# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Single values of columns, against Arrow's own conversion."""

import pyarrow as pa
import pytest

from grpo_jax.data.arrow_values import MappedFile, value_reader

COLUMNS = {
    "texts": ["a", "é", "", None, "a"],
    "one text": ["a"] * 5,
    "numbers": [1, 2, None, 4, 1],
    "one number": [7] * 5,
    "same ends": ["a", "a", "b", "a", "a"],
    "fractions": [1.5, None, 0.0, -0.0, 1.5],
    "truths": [True, None, False, True, True],
    "nothing": [None] * 5,
    "lists": [[1, 2], [], None, [3], [None]],
    "full lists": [["a"], [], ["a", "a"], ["a"], []],
    "lists of structs": [[{"role": "user", "content": str(i)}] * (i % 3) for i in range(5)],
    "structs": [{"a": i, "b": {"c": None if i % 2 else "x"}, "d": [[i]]} for i in range(5)],
    "structs with nulls": [{"a": 1}, None, {"a": None}, {"a": 1}, {"a": 1}],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_values_of_a_file_are_arrows_own(tmp_path, name):
    batch = pa.record_batch({"unaligned": ["x"] * 5, "column": COLUMNS[name]})
    with pa.OSFile(str(tmp_path / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        for part in (batch, batch.slice(1, 3), batch.slice(2)):
            writer.write_batch(part)
    file = MappedFile(tmp_path / "rows.arrow")
    reader = pa.ipc.open_file(pa.BufferReader(file.buffer))
    for number in range(3):
        for values in (
            reader.get_batch(number).column("column"),
            reader.get_batch(number).column("column").slice(1, 2),
        ):
            read = value_reader(values, file)
            file.release()
            assert [read(i) for i in range(len(values))] == values.to_pylist()


@pytest.mark.parametrize("name", COLUMNS)
def test_values_are_arrows_own(name):
    column = pa.array(COLUMNS[name])
    for values in (column, column.slice(1, 3), column.slice(2), column.slice(5)):
        read = value_reader(values)
        assert [read(i) for i in range(len(values))] == values.to_pylist()


def test_read_values_do_not_share_their_parts():
    read = value_reader(pa.array([{"tags": ["x"]}] * 2))
    read(0)["tags"].append("y")
    assert read(0) == read(1) == {"tags": ["x"]}
