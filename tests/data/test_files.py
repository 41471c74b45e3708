# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of files, read on demand."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grpo_jax.data.files import open_file, open_files, write_rows
from grpo_jax.records import ConfigError

ROWS = [{"number": i, "text": "é" * i, "nested": {"list": [i, i + 1]}} for i in range(25)]


def test_parquet_and_jsonl_give_equal_rows(tmp_path):
    for name in ("rows.parquet", "rows.jsonl"):
        write_rows(tmp_path / "new" / name, ROWS)
        rows = open_file(str(tmp_path / "new" / name))
        assert len(rows) == 25
        assert [rows.row(i) for i in range(25)] == ROWS
        assert [number for start, stop, _ in rows.chunks() for number in range(start, stop)] == list(range(25))


def test_parquet_rows_are_found_across_row_groups(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet", row_group_size=4)
    rows = open_file(str(tmp_path / "rows.parquet"))
    assert [rows.row(i)["number"] for i in (24, 3, 4, 0, 23)] == [24, 3, 4, 0, 23]


def test_parquet_of_the_problem_schema_is_read_without_other_columns(tmp_path):
    write_rows(tmp_path / "rows.parquet", [{"reward_model": {"ground_truth": "1"}, "ability": "x", "image": "big"}])
    assert open_file(str(tmp_path / "rows.parquet")).row(0) == {"reward_model": {"ground_truth": "1"}, "ability": "x"}


def test_blank_lines_do_not_shift_line_numbers(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n   \n{"a": 2}\n{"a": \n[3]')
    rows = open_file(str(path))
    assert len(rows) == 4
    assert rows.row(0) == {"a": 1}
    assert rows.row(1) == {"a": 2}
    assert rows.where(1) == f"{path}:4"
    with pytest.raises(ConfigError, match=r"rows\.jsonl:5: not valid JSON"):
        rows.row(2)
    with pytest.raises(ConfigError, match=r"rows\.jsonl:6: a row must be a JSON object, got list"):
        rows.row(3)


def test_glob_concatenates_in_sorted_order(tmp_path):
    for start, name in ((10, "b.jsonl"), (0, "a.jsonl")):
        (tmp_path / name).write_text("".join(json.dumps({"n": start + i}) + "\n" for i in range(3)))
    (tmp_path / "aa.jsonl").write_text("")
    rows = open_files(str(tmp_path / "*.jsonl"))
    assert [rows.row(i)["n"] for i in range(len(rows))] == [0, 1, 2, 10, 11, 12]
    assert rows.where(4) == f"{tmp_path}/b.jsonl:2"
    assert rows.name(3) == "b.jsonl#0"
    assert [(span.path, span.start, span.stop) for span in rows.files()] == [
        (f"{tmp_path}/a.jsonl", 0, 3),
        (f"{tmp_path}/aa.jsonl", 3, 3),
        (f"{tmp_path}/b.jsonl", 3, 6),
    ]


def test_folder_stands_for_its_files(tmp_path):
    write_rows(tmp_path / "b.parquet", ROWS[:2])
    write_rows(tmp_path / "a.jsonl", ROWS[2:3])
    (tmp_path / "notes.txt").write_text("nothing")
    rows = open_files(str(tmp_path))
    assert [rows.row(i)["number"] for i in range(3)] == [2, 0, 1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty: the folder holds no \.jsonl or \.parquet file"):
        open_files(str(tmp_path / "empty"))


def test_unusable_paths_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.parquet: no such file"):
        open_files(str(tmp_path / "none.parquet"))
    with pytest.raises(ConfigError, match=r"x\*\.parquet: no file matches"):
        open_files(str(tmp_path / "x*.parquet"))
    (tmp_path / "broken.parquet").write_text("not parquet")
    with pytest.raises(ConfigError, match=r"broken\.parquet is not a readable parquet file"):
        open_files(str(tmp_path / "broken.parquet"))
    with pytest.raises(ConfigError, match=r"rows\.csv"):
        write_rows(tmp_path / "rows.csv", ROWS)
    with pytest.raises(ConfigError, match=r"write \.jsonl instead"):
        write_rows(tmp_path / "mixed.parquet", [{"truth": "4"}, {"truth": ["4"]}])


def test_parquet_damaged_inside_is_one_clear_line(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" * 9 for i in range(1000)]}), path, compression="zstd")
    damaged = bytearray(path.read_bytes())
    damaged[200:400] = bytes(200)
    path.write_bytes(damaged)
    rows = open_file(str(path))
    with pytest.raises(ConfigError, match=r"rows\.parquet is damaged") as caught:
        rows.row(0)
    assert "\n" not in str(caught.value)
