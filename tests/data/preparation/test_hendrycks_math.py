# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""MATH: raw rows to the problem schema."""

import json

import pytest

from grpo_jax.data.preparation.hendrycks_math import convert_row
from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.data.preparation.row_building import UnusableRowError
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import MATH, MATH_WITH_ANSWER


def test_answer_is_the_last_box_and_level_the_difficulty():
    row = convert_row(MATH, "train", 0, "here")
    assert row["reward_model"]["ground_truth"] == r"\frac{3}{2}"
    assert row["difficulty"] == 2.0
    assert row["extra_info"]["subject"] == "Algebra"


def test_answer_that_the_row_carries_wins_and_an_unknown_level_is_no_difficulty():
    row = convert_row(MATH_WITH_ANSWER, "train", 0, "here")
    assert row["reward_model"]["ground_truth"] == r"\frac{5}{2}"
    assert row["difficulty"] is None
    assert row["extra_info"]["subject"] == "Algebra"


def test_solution_without_a_box_is_left_out_and_a_missing_one_is_a_fault():
    with pytest.raises(UnusableRowError, match="here: field solution has no"):
        convert_row({**MATH, "solution": "It is 3/2."}, "train", 0, "here")
    with pytest.raises(ConfigError, match="here: field solution must be") as caught:
        convert_row({**MATH, "solution": None}, "train", 0, "here")
    assert not isinstance(caught.value, UnusableRowError)


def test_folder_of_a_file_a_problem_keeps_splits_and_numeric_order(tmp_path):
    for split, number in (("train", 2), ("train", 10), ("test", 1)):
        file = tmp_path / "MATH" / split / "algebra" / f"{number}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**MATH, "problem": f"{split} {number}?"}, indent=2))
    report = prepare("math", tmp_path / "MATH", tmp_path / "math.jsonl")
    assert (report.rows_in, report.rows_out) == (3, 3)
    rows = [json.loads(line) for line in (tmp_path / "math.jsonl").read_text().splitlines()]
    assert [row["prompt"][0]["content"] for row in rows] == ["test 1?", "train 2?", "train 10?"]
    assert [row["extra_info"]["split"] for row in rows] == ["test", "train", "train"]
