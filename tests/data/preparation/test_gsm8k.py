# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""GSM8K: raw rows to the problem schema."""

import json

import pytest

from grpo_jax.data.preparation.gsm8k import convert_row
from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.data.source_spec import parse_source
from grpo_jax.data.sources import ProblemSource
from grpo_jax.records import ConfigError

RAW = {"question": "Ann has 1,000 nuts and finds 234 more. How many has she?", "answer": "1000+234=1234\n#### 1,234"}


def test_final_answer_loses_its_commas_and_the_question_stays_bare():
    row = convert_row(RAW, "train", 5, "train.jsonl:6")
    assert row["reward_model"] == {"style": "rule", "ground_truth": "1234"}
    assert row["prompt"] == [{"role": "user", "content": RAW["question"]}]
    assert row["extra_info"] == {"split": "train", "index": 5, **RAW}


@pytest.mark.parametrize(
    ("change", "field"),
    [({"answer": "no mark"}, "answer"), ({"answer": "####"}, "answer"), ({"question": None}, "question")],
)
def test_row_without_question_or_answer_is_named(change, field):
    with pytest.raises(ConfigError, match=rf"train\.jsonl:6: field {field}"):
        convert_row({**RAW, **change}, "train", 5, "train.jsonl:6")


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_every_row_is_written_or_explained(tmp_path, ending):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (RAW, {**RAW, "answer": "?"}, RAW)))
    (raw / "test.jsonl").write_text(json.dumps({**RAW, "question": "Another?"}))
    output = tmp_path / "made" / f"gsm8k.{ending}"
    report = prepare("gsm8k", raw, output)
    assert (report.rows_in, report.rows_out, len(report.left_out)) == (4, 3, 1)
    assert "train.jsonl:2: field answer" in report.left_out[0]
    assert str(report).splitlines()[0] == "4 rows in, 3 rows out"
    train = ProblemSource(parse_source(f"math::{output}@train"), "train")
    assert [train[i].extra["index"] for i in range(len(train))] == [0, 2]


def test_wrong_names_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="known datasets: gsm8k"):
        prepare("gsm9k", tmp_path, tmp_path / "x.jsonl")
    with pytest.raises(ConfigError, match="holds no"):
        prepare("gsm8k", tmp_path, tmp_path / "x.jsonl")
    (tmp_path / "train.jsonl").write_text('{"other": 1}\n')
    with pytest.raises(ConfigError, match=r"train\.jsonl:1"):
        prepare("gsm8k", tmp_path / "train.jsonl", tmp_path / "x.jsonl")


def test_public_rows_convert_without_loss(shared_data, tmp_path):
    for split, count in (("train", 7473), ("test", 659)):
        raw = shared_data / "gsm8k" / f"{split}.jsonl"
        report = prepare("gsm8k", raw, tmp_path / f"{split}.parquet")
        assert (report.rows_in, report.rows_out, report.left_out) == (count, count, ())
        made = ProblemSource(parse_source(f"math::{tmp_path}/{split}.parquet"), "train")
        straight = ProblemSource(parse_source(f"math::{raw}"), split)
        for index in range(0, count, 100):
            assert made[index].ground_truth == straight[index].ground_truth
            assert made[index].messages == straight[index].messages
            float(made[index].ground_truth)
