# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""`prepare`: what it reads, writes, counts and refuses."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.data.preparation.registry import PREPARATIONS, by_fields, by_hub_name
from grpo_jax.data.schema import problem_from_row, row_from_problem
from grpo_jax.data.source_spec import parse_source
from grpo_jax.data.sources import ProblemSource
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import GSM8K, ROWS


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def problems(path):
    source = ProblemSource(parse_source(f"any::{path}"), "train")
    return [(p.messages, p.ground_truth, p.data_source, p.ability, p.difficulty, p.extra) for p in source]


@pytest.mark.parametrize("dataset", sorted(PREPARATIONS))
def test_parquet_and_jsonl_hold_the_same_problems(tmp_path, dataset):
    raw = write(tmp_path / "raw.jsonl", ROWS[dataset])
    for ending in ("parquet", "jsonl"):
        report = prepare(dataset, raw, tmp_path / f"made.{ending}")
        assert (report.rows_in, report.rows_out) == (len(ROWS[dataset]), len(ROWS[dataset]))
    parquet, jsonl = problems(tmp_path / "made.parquet"), problems(tmp_path / "made.jsonl")
    assert parquet == jsonl
    assert len(parquet) == len(ROWS[dataset])


@pytest.mark.parametrize("dataset", sorted(PREPARATIONS))
def test_raw_rows_as_a_source_give_the_problems_of_the_prepared_file(tmp_path, dataset):
    raw = write(tmp_path / "raw.jsonl", [row for row in ROWS[dataset] if by_fields(row)])
    prepare(dataset, raw, tmp_path / "made.jsonl")
    assert [p[:5] for p in problems(raw)] == [p[:5] for p in problems(tmp_path / "made.jsonl")]


@pytest.mark.parametrize("dataset", sorted(PREPARATIONS))
def test_raw_rows_are_known_by_their_fields_as_no_other_dataset(dataset):
    for row in ROWS[dataset]:
        claimed = [name for name, known in PREPARATIONS.items() if known.is_raw(row)]
        # A few public files say no more than "Problem" or "question"; those are converted by name only.
        assert claimed in ([dataset], []), row
    assert any(by_fields(row) is PREPARATIONS[dataset] for row in ROWS[dataset])


def test_rows_of_the_schema_are_no_raw_rows():
    made = PREPARATIONS["gsm8k"].convert_row(GSM8K, "train", 0, "here")
    assert by_fields(made) is None
    assert by_fields({"image": 1}) is None


def test_every_dataset_with_a_name_on_the_hub_has_it_alone():
    names = [name for known in PREPARATIONS.values() for name in known.hub_names]
    assert len(set(names)) == len(names)
    assert all(by_hub_name(name) for name in names)
    assert by_hub_name("nobody/nothing") is None


def test_bad_row_is_refused_with_its_line_or_left_out_by_name(tmp_path):
    write(tmp_path / "raw" / "train.jsonl", [GSM8K, {**GSM8K, "answer": "?"}, GSM8K, {**GSM8K, "answer": ""}])
    write(tmp_path / "raw" / "test.jsonl", [{**GSM8K, "question": "Another?"}])
    with pytest.raises(ConfigError, match=r"train\.jsonl:2: field answer .*\(and 1 more rows\); --skip-bad-rows"):
        prepare("gsm8k", tmp_path / "raw", tmp_path / "made.parquet")
    assert not (tmp_path / "made.parquet").exists()
    report = prepare("gsm8k", tmp_path / "raw", tmp_path / "made.parquet", skip_bad_rows=True)
    assert (report.rows_in, report.rows_out, len(report.left_out)) == (5, 3, 2)
    lines = str(report).splitlines()
    assert lines[0] == "5 rows in, 3 rows out"
    assert "left out 1: field answer has no final answer" in lines[1]
    assert "train.jsonl:2" in lines[1]
    train = ProblemSource(parse_source(f"math::{tmp_path}/made.parquet@train"), "train")
    assert [problem.extra["index"] for problem in train] == [0, 2]


def test_rows_without_a_checkable_answer_are_left_out_and_counted_by_reason(tmp_path):
    good = {"problem": "How many?", "answer": "3", "difficulty": 1.0, "type": "Algebra"}
    raw = write(tmp_path / "math_train.jsonl", [good, *[{**good, "answer": None}] * 7])
    report = prepare("deepscaler", raw, tmp_path / "made.jsonl")
    assert (report.rows_in, report.rows_out) == (8, 1)
    (line,) = str(report).splitlines()[1:]
    assert line.startswith("left out 7: field answer is empty")
    assert line.count("math_train.jsonl:") == 5
    assert line.endswith(", ...)")


def test_rows_of_the_schema_pass_through_with_their_messages(tmp_path):
    own = {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two and two?"}],
        "data_source": "mine",
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "4"},
        "extra_info": {"split": "val"},
    }
    raw = write(tmp_path / "train.jsonl", [GSM8K, own])
    for ending in ("jsonl", "parquet"):
        report = prepare("gsm8k", raw, tmp_path / f"made.{ending}")
        assert report.notes == (("rows of the problem schema already, taken as they are", 1),)
        second = ProblemSource(parse_source(f"x::{tmp_path}/made.{ending}"), "train")[1]
        assert [dict(message) for message in second.messages] == own["prompt"]
        assert second.extra["split"] == "val"


def test_split_can_be_said(tmp_path):
    raw = write(tmp_path / "train.jsonl", [GSM8K])
    prepare("gsm8k", raw, tmp_path / "made.jsonl", split="warm_up")
    assert json.loads((tmp_path / "made.jsonl").read_text())["extra_info"]["split"] == "warm_up"


def test_parquet_as_published_on_the_hub_is_read(tmp_path):
    for dataset in sorted(set(ROWS) - {"bfcl"}):  # published as JSON alone, in types that fit no column
        row = {name: value for name, value in ROWS[dataset][0].items() if name != "evidence"}
        path = tmp_path / dataset / "train-00000-of-00001.parquet"
        path.parent.mkdir()
        pq.write_table(pa.Table.from_pylist([row]), path)
        report = prepare(dataset, path.parent, tmp_path / dataset / "made.jsonl")
        assert report.rows_out == 1
        made = json.loads((tmp_path / dataset / "made.jsonl").read_text())
        assert made["extra_info"]["split"] == "train"
        assert made["prompt"] == PREPARATIONS[dataset].convert_row(row, "train", 0, "here")["prompt"]


def test_prepared_row_survives_records(tmp_path):
    for dataset, rows in ROWS.items():
        for row in rows:
            made = PREPARATIONS[dataset].convert_row(row, "train", 0, "here")
            problem = problem_from_row(made, "id", "here")
            assert problem_from_row(row_from_problem(problem), "id", "there") == problem


def test_wrong_names_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="known datasets: arc, bfcl, code_contests"):
        prepare("gsm9k", tmp_path, tmp_path / "x.jsonl")
    with pytest.raises(ConfigError, match="the folder holds no raw file"):
        prepare("gsm8k", tmp_path, tmp_path / "x.jsonl")
    write(tmp_path / "train.jsonl", [{"other": 1}])
    with pytest.raises(ConfigError, match=r"train\.jsonl:1: field question"):
        prepare("gsm8k", tmp_path / "train.jsonl", tmp_path / "x.jsonl")
    write(tmp_path / "empty.jsonl", [])
    with pytest.raises(ConfigError, match="there are no rows"):
        prepare("gsm8k", tmp_path / "empty.jsonl", tmp_path / "x.jsonl")
    with pytest.raises(ConfigError, match="gsm8k takes no option shown_tests; mbpp does"):
        prepare("gsm8k", tmp_path / "train.jsonl", tmp_path / "x.jsonl", options={"shown_tests": 2})
    write(tmp_path / "good.jsonl", [GSM8K])
    with pytest.raises(ConfigError, match=r"x\.csv"):
        prepare("gsm8k", tmp_path / "good.jsonl", tmp_path / "x.csv")


def test_output_beside_the_input_is_not_read_again(tmp_path):
    write(tmp_path / "train.jsonl", [GSM8K])
    for _ in range(2):
        assert prepare("gsm8k", tmp_path, tmp_path / "made.jsonl").rows_in == 1
    with pytest.raises(ConfigError, match="is the input too"):
        prepare("gsm8k", tmp_path / "made.jsonl", tmp_path / "made.jsonl")


def test_each_row_names_its_raw_file(tmp_path):
    write(tmp_path / "raw" / "a" / "train.jsonl", [GSM8K])
    write(tmp_path / "raw" / "b" / "test.jsonl", [GSM8K])
    prepare("gsm8k", tmp_path / "raw", tmp_path / "made.jsonl")
    found = [json.loads(line)["extra_info"] for line in (tmp_path / "made.jsonl").read_bytes().splitlines()]
    assert [(extra["file"], extra["split"]) for extra in found] == [
        ("a/train.jsonl", "train"),
        ("b/test.jsonl", "test"),
    ]
