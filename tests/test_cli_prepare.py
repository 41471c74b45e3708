# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `prepare` command as a user gives it."""

import json

import pytest

from grpo_jax.cli import main
from grpo_jax.data.preparation.registry import summaries
from tests.fakes.raw_rows import GSM8K, MBPP


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, [GSM8K, {**GSM8K, "answer": "?"}])))
    return path


def test_list_names_every_dataset_with_a_line_of_its_own(capsys):
    assert main(["prepare", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(summaries())
    assert all(len(line.split()) > 3 for line in lines)


def test_bad_row_exits_2_in_one_line_unless_skipped(raw, tmp_path, capsys):
    words = ["prepare", "gsm8k", "--input", str(raw), "--output", str(tmp_path / "made.parquet")]
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert f"{raw}:2: field answer" in captured.err
    assert main([*words, "--skip-bad-rows"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "2 rows in, 1 rows out"
    assert shown[1].startswith("left out 1: ")
    assert f"{raw}:2" in shown[1]


def test_split_and_shown_tests_reach_the_rows(tmp_path):
    raw, made = tmp_path / "mbpp.jsonl", tmp_path / "made.jsonl"
    raw.write_text(json.dumps(MBPP))
    words = ["prepare", "mbpp", "--input", str(raw), "--output", str(made), "--split", "mine", "--shown-tests", "0"]
    assert main(words) == 0
    row = json.loads(made.read_text())
    assert row["extra_info"]["split"] == "mine"
    assert row["prompt"][0]["content"] == MBPP["text"]


@pytest.mark.parametrize("words", [[], ["gsm8k"], ["gsm8k", "--input", "x"], ["--input", "x", "--output", "y"]])
def test_missing_words_are_asked_for(words, capsys):
    assert main(["prepare", *words]) == 2
    assert "DATASET, --input PATH and --output PATH" in capsys.readouterr().err
