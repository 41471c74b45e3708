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
    assert parquet[4].id.startswith("rows.parquet#4-")
    assert parquet[4].id == parquet.problem_id(4)
    assert parquet[4].extra == {"split": "test", "index": 4}


def test_bad_row_is_named_by_file_and_line(tmp_path):
    good = [json.dumps(row) for row in rows(3)]
    (tmp_path / "rows.jsonl").write_text(
        "\n".join([good[0], "", '{"prompt": "bare", "reward_model": {"ground_truth": "1"}}'])
    )
    with pytest.raises(ConfigError, match=r"rows\.jsonl:3: field prompt .*1 of 2 rows .*data\.skip_bad_rows=true"):
        source(f"math::{tmp_path}/rows.jsonl")
    write_rows(tmp_path / "rows.parquet", [*rows(2), {**rows(1)[0], "reward_model": {"style": "rule"}}])
    with pytest.raises(ConfigError, match=r"rows\.parquet row 2: field reward_model\.ground_truth"):
        source(f"math::{tmp_path}/rows.parquet")
    (tmp_path / "alien.jsonl").write_text('{"image": 1}\n')
    with pytest.raises(ConfigError, match=r"alien\.jsonl:1: field prompt is missing.*prepare"):
        source(f"math::{tmp_path}/alien.jsonl")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl"])
def test_bad_rows_are_left_out_where_asked_for(tmp_path, caplog, name):
    mixed = rows(6)
    mixed[1]["reward_model"] = {"style": "rule", "ground_truth": None}
    mixed[4]["prompt"] = [{"role": "nobody", "content": "x"}]
    write_rows(tmp_path / name, mixed)
    found = ProblemSource(parse_source(f"math::{tmp_path}/{name}"), "train", skip_bad_rows=True)
    assert [found[i].ground_truth for i in range(len(found))] == ["0", "2", "3", "5"]
    assert found.num_bad_rows == 2
    lines = [record.getMessage() for record in caplog.records]
    assert "field reward_model.ground_truth is missing" in lines[0]
    assert f"{name}:5" in lines[1] or f"{name} row 4" in lines[1]
    assert "left out 2 of 6 rows" in lines[2]
    first = ProblemSource(parse_source(f"math::{tmp_path}/{name}"), "train", max_rows=3, skip_bad_rows=True)
    assert [first[i].ground_truth for i in range(3)] == ["0", "2", "3"]


def test_source_of_bad_rows_alone_is_refused(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"image": 1}\n{"image": 2}\n')
    with pytest.raises(ConfigError, match=r"none of its 2 rows can be used, the first: .*rows\.jsonl:1"):
        ProblemSource(parse_source(f"math::{tmp_path}/rows.jsonl"), "train", skip_bad_rows=True)


def test_total_is_shared_out_in_proportion(tmp_path):
    for name, count in (("a", 70), ("b", 29), ("c", 1)):
        write_rows(tmp_path / f"{name}.jsonl", rows(count))
    texts = [f"{name}::{tmp_path}/{name}.jsonl" for name in "abc"]

    def sizes(**limits):
        return [len(own) for own in open_sources(texts, "data.train_sources", "train", **limits)]

    assert sizes() == [70, 29, 1]
    assert sizes(max_total_rows=100) == sizes(max_total_rows=1000) == [70, 29, 1]
    assert sizes(max_total_rows=10) == [7, 2, 1]
    assert sizes(max_total_rows=3) == [1, 1, 1]
    assert sizes(max_total_rows=20, max_rows=10) == [10, 9, 1]
    for total in range(3, 101):
        assert sum(sizes(max_total_rows=total)) == total
    with pytest.raises(ConfigError, match=r"data\.max_total_train_samples=2 .* raise it to 3"):
        sizes(max_total_rows=2)
    (cut, *_) = open_sources([f"{tmp_path}/a.jsonl", texts[1]], "f", "train", max_total_rows=4)
    assert cut.rows_by_domain()["made_up"].tolist() == [0, 1, 2]


def test_ids_stay_when_the_data_moves(tmp_path):
    write_rows(tmp_path / "here" / "rows.jsonl", rows(5))
    before = [problem.id for problem in source(f"math::{tmp_path}/here/rows.jsonl")]
    (tmp_path / "here").rename(tmp_path / "there")
    assert [problem.id for problem in source(f"math::{tmp_path}/there/*.jsonl")] == before
    assert str(tmp_path) not in "".join(before)


def test_ids_are_unique_among_copies_under_the_same_name(tmp_path):
    changed = rows(5)
    changed[3]["prompt"] = [{"role": "user", "content": "Another question"}]
    for folder, content in (("a", rows(5)), ("b", rows(5)), ("c", changed)):
        write_rows(tmp_path / folder / "rows.jsonl", content)
    alone = [problem.id for problem in source(f"x::{tmp_path}/a/rows.jsonl")]
    for texts in (
        [f"x::{tmp_path}/*/rows.jsonl"],
        [f"x::{tmp_path}/{folder}/rows.jsonl" for folder in "abc"],
        [f"x::{tmp_path}/a/rows.jsonl", f"x::{tmp_path}/[bc]/*.jsonl", f"x::{tmp_path}/[ab]/rows.jsonl"],
    ):
        ids = [problem.id for own in open_sources(texts, "f", "train") for problem in own]
        assert len(set(ids)) == len(ids)
        assert ids[:5] == alone
    assert sum(name.endswith("~2") for name in ids) == 5


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
    assert [(start, stop) for start, stop, _ in table.chunks()] == [(0, 4)]
    assert table.name(2).endswith("set@train#2")
    part = HubRows(str(tmp_path / "set"), "train[1:3]", {})
    assert [part.row(i)["reward_model"]["ground_truth"] for i in range(len(part))] == ["1", "2"]


def test_streamed_rows_are_the_first_ones_and_the_same_problems(tmp_path):
    write_rows(tmp_path / "set" / "train.jsonl", rows(9))
    datasets.disable_progress_bars()
    whole = HubRows(str(tmp_path / "set"), "train", {})
    streamed = HubRows(str(tmp_path / "set"), "train", {"streaming": True, "rows": 4})
    assert len(streamed) == 4
    assert [streamed.row(i) for i in range(4)] == [whole.row(i) for i in range(4)]
    assert [streamed.name(i) for i in range(4)] == [whole.name(i) for i in range(4)]
    assert len(HubRows(str(tmp_path / "set"), "train", {"streaming": True})) == 9


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"rows": 4}, r"rows=4 goes with streaming=True; without it write @train\[:4\]"),
        ({"streaming": True, "rows": 0}, "rows=0 must be an integer above 0"),
        ({"streaming": "yes"}, "streaming='yes' must be True or False"),
        ({"rows": 2.5, "streaming": True}, r"rows=2\.5"),
    ],
)
def test_wrong_parameters_of_a_hub_dataset_are_named(parameters, said):
    with pytest.raises(ConfigError, match=said):
        HubRows("owner/set", "train", parameters)
