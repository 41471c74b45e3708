# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which raw files a path means, their splits and their rows."""

import gzip
import json
from pathlib import Path

import pytest

from grpo_jax.data.preparation.raw_files import find_raw_files, open_raw_file, split_from_name
from grpo_jax.records import ConfigError

ROWS = [{"n": 0}, {"n": 1}, {"n": 2, "text": "two\u2028lines"}]


def dumped(row):
    return json.dumps(row, ensure_ascii=False)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", "\n\n".join(map(dumped, ROWS)).encode()),
        ("rows.json", json.dumps(ROWS, indent=1).encode()),
        ("lines.json", "\n".join(map(dumped, ROWS)).encode()),
        ("rows.jsonl.gz", gzip.compress("\n".join(map(dumped, ROWS)).encode())),
        ("rows.json.gz", gzip.compress(json.dumps(ROWS).encode())),
    ],
)
def test_rows_are_equal_in_every_kind_of_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    rows = open_raw_file(tmp_path / name)
    assert [rows.row(i) for i in range(len(rows))] == ROWS


def test_single_object_is_one_row(tmp_path):
    (tmp_path / "1.json").write_text(json.dumps(ROWS[1], indent=2))
    rows = open_raw_file(tmp_path / "1.json")
    assert len(rows) == 1
    assert rows.row(0) == {"n": 1}
    assert rows.where(0) == f"{tmp_path}/1.json:1"


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.jsonl.gz"])
def test_broken_line_is_named_and_the_others_stay_readable(tmp_path, name):
    content = b'{"n": 0}\n\n{"n": \n[1]'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    rows = open_raw_file(tmp_path / name)
    assert rows.row(0) == {"n": 0}
    with pytest.raises(ConfigError, match=rf"{name}:3: not valid JSON"):
        rows.row(1)
    with pytest.raises(ConfigError, match=rf"{name}:4: a row must be a JSON object"):
        rows.row(2)


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "rows.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(ConfigError, match=r"rows\.jsonl\.gz: cannot be read"):
        open_raw_file(tmp_path / "rows.jsonl.gz")
    with pytest.raises(ConfigError, match=r"rows\.csv"):
        open_raw_file(tmp_path / "rows.csv")


def test_folder_means_all_row_files_below_in_reading_order(tmp_path):
    for name in ("b/10.json", "b/9.json", "a.jsonl", "answers/a.jsonl", "SOURCE.txt", "dataset_info.json", ".x.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = find_raw_files(tmp_path, ("answers",))
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.jsonl", "b/9.json", "b/10.json"]
    assert find_raw_files(str(tmp_path / "b" / "1*.json")) == [tmp_path / "b" / "10.json"]
    assert find_raw_files(tmp_path / "a.jsonl") == [tmp_path / "a.jsonl"]
    with pytest.raises(ConfigError, match="there is no raw file"):
        find_raw_files(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.jsonl", "train"),
        ("train-00000-of-00001.parquet", "train"),
        ("arc_easy_validation.jsonl", "validation"),
        ("NQ-open.efficientqa.dev.1.1.jsonl", "dev"),
        ("test/algebra/7.json", "test"),
        ("latest/contest.jsonl", None),
        ("HumanEval.jsonl", None),
    ],
)
def test_split_is_a_word_of_the_name_or_a_folder(name, split):
    root = Path("/made/up/test_folder")
    assert split_from_name(root / name, root) == split
