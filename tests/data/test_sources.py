# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sources as sequences of problems."""

import json
from dataclasses import replace

import datasets
import pytest

from grpo_jax.data.files import write_rows
from grpo_jax.data.hub import HubRows
from grpo_jax.data.source_spec import parse_source
from grpo_jax.data.sources import ProblemSource, open_sources
from grpo_jax.records import ConfigError


def rows(count, **fields):
    return [
        {
            "prompt": [{"role": "user", "content": f"Question {i}?"}],
            "data_source": "made_up",
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": str(i)},
            "extra_info": {"split": "train" if i % 2 else "test", "index": i},
            **fields,
        }
        for i in range(count)
    ]


def source(text, max_rows=None):
    return ProblemSource(parse_source(text), "train", max_rows)


def test_parquet_and_jsonl_give_equal_problems(tmp_path):
    write_rows(tmp_path / "rows.parquet", rows(9))
    write_rows(tmp_path / "rows.jsonl", rows(9))
    parquet, jsonl = source(f"math::{tmp_path}/rows.parquet"), source(f"math::{tmp_path}/rows.jsonl")
    assert len(parquet) == len(jsonl) == 9
    for i in range(9):
        assert replace(parquet[i], id="") == replace(jsonl[i], id="")
    assert parquet[4].id == f"{tmp_path}/rows.parquet#4"
    assert parquet[4].extra == {"split": "test", "index": 4}


def test_bad_row_is_named_by_file_and_line(tmp_path):
    good = [json.dumps(row) for row in rows(3)]
    (tmp_path / "rows.jsonl").write_text(
        "\n".join([good[0], "", '{"prompt": "bare", "reward_model": {"ground_truth": "1"}}'])
    )
    with pytest.raises(ConfigError, match=r"rows\.jsonl:3: field prompt"):
        source(f"math::{tmp_path}/rows.jsonl")[1]
    write_rows(tmp_path / "rows.parquet", [*rows(2), {**rows(1)[0], "reward_model": {"style": "rule"}}])
    with pytest.raises(ConfigError, match=r"rows\.parquet row 2: field reward_model\.ground_truth"):
        source(f"math::{tmp_path}/rows.parquet")[2]
    (tmp_path / "alien.jsonl").write_text('{"image": 1}\n')
    with pytest.raises(ConfigError, match=r"alien\.jsonl:1: field prompt is missing.*prepare"):
        source(f"math::{tmp_path}/alien.jsonl")[0]


def test_domain_left_out_is_taken_from_each_row(tmp_path):
    mixed = [{**row, "domain": "math" if i < 2 else None} for i, row in enumerate(rows(5))]
    for name in ("rows.parquet", "rows.jsonl"):
        write_rows(tmp_path / name, mixed)
        found = source(f"{tmp_path}/{name}").rows_by_domain()
        assert {domain: indices.tolist() for domain, indices in found.items()} == {"math": [0, 1], "made_up": [2, 3, 4]}
        assert source(f"{tmp_path}/{name}")[3].domain == "made_up"


def test_split_of_files_keeps_rows_that_say_so(tmp_path):
    write_rows(tmp_path / "rows.parquet", rows(5))
    test_rows = source(f"math::{tmp_path}/rows.parquet@test")
    assert [test_rows[i].ground_truth for i in range(len(test_rows))] == ["0", "2", "4"]
    by_domain = source(f"{tmp_path}/rows.parquet@train", max_rows=1).rows_by_domain()
    assert {domain: indices.tolist() for domain, indices in by_domain.items()} == {"made_up": [0]}
    with pytest.raises(ConfigError, match=r"extra_info\.split='dev'"):
        source(f"math::{tmp_path}/rows.parquet@dev")


def test_at_most_so_many_rows_of_each_source(tmp_path):
    write_rows(tmp_path / "rows.jsonl", rows(5))
    assert len(source(f"math::{tmp_path}/rows.jsonl", max_rows=2)) == 2


def test_source_without_rows_or_named_twice_is_refused(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n")
    with pytest.raises(ConfigError, match="has no rows"):
        source(f"math::{tmp_path}/rows.jsonl")
    write_rows(tmp_path / "rows.jsonl", rows(2))
    with pytest.raises(ConfigError, match=r"data\.train_sources names .* twice"):
        open_sources([f"a::{tmp_path}/rows.jsonl", f"b::{tmp_path}/rows.jsonl"], "data.train_sources", "train")


def test_raw_rows_of_a_known_dataset_are_converted(tmp_path):
    raw = {"question": "How many?", "answer": "Half of 2,468.\n#### 1,234"}
    (tmp_path / "train.jsonl").write_text(json.dumps(raw))
    problem = source(f"math::{tmp_path}/train.jsonl")[0]
    assert problem.ground_truth == "1234"
    assert problem.messages == ({"role": "user", "content": "How many?"},)
    assert list(source(f"{tmp_path}/train.jsonl").rows_by_domain()) == ["openai/gsm8k"]


def test_hub_dataset_out_of_reach_is_one_clear_line():
    with pytest.raises(ConfigError, match="cannot be loaded from the Hugging Face hub") as caught:
        source("math::no-such-owner-of-ours/no-such-dataset@train")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="unknown parameter subset"):
        source("math::openai/gsm8k?subset='main'")


def test_hub_rows_are_read_by_number_and_by_column(tmp_path):
    """A folder of Arrow-convertible files stands for the hub: `load_dataset` takes both."""
    write_rows(tmp_path / "set" / "train.jsonl", rows(4))
    datasets.disable_progress_bars()
    table = HubRows(str(tmp_path / "set"), "train", {})
    assert len(table) == 4
    assert table.row(2)["reward_model"]["ground_truth"] == "2"
    assert list(table.scan(("data_source",))) == [{"data_source": "made_up"}] * 4
    assert table.name(2).endswith("set@train#2")
