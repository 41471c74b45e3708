# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""DeepScaleR and its relatives: raw rows to the problem schema."""

import pytest

from grpo_jax.data.preparation.deepscaler import convert_row
from grpo_jax.data.preparation.row_building import UnusableRowError
from grpo_jax.records import ConfigError
from tests.fakes import raw_rows


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("AIME", "025"),
        ("AMC", "144"),
        ("MINERVA", [r"\arcsin{10/13}", "50.3"]),
        ("OLYMPIAD", r"-\frac{1}{2},\frac{1}{2}"),
        ("MATH_RATED", r"\$42409"),
        ("DEEPSCALER", "4"),
        ("AIME_CAPITALS", "5"),
    ],
)
def test_answers_of_all_types_become_text(name, truth):
    row = convert_row(getattr(raw_rows, name), "test", 0, "here")
    assert row["reward_model"]["ground_truth"] == truth
    assert row["extra_info"]["subset"] in {None, "AIME", "AMC", "Minerva", "OlympiadBench", "MATH"}


def test_answer_may_stand_in_the_solution_only():
    row = convert_row({"problem": "How many?", "solution": r"So \boxed{204}."}, "test", 0, "here")
    assert row["reward_model"]["ground_truth"] == "204"


@pytest.mark.parametrize(("raw", "difficulty"), [("AIME", 2.5), ("AMC", None), ("MINERVA", None), ("MATH_RATED", 3.0)])
def test_difficulty_is_kept_where_it_is_known(raw, difficulty):
    assert convert_row(getattr(raw_rows, raw), "test", 0, "here")["difficulty"] == difficulty


def test_context_stands_before_the_problem():
    row = convert_row({**raw_rows.OLYMPIAD, "context": "Let x be real."}, "test", 0, "here")
    assert row["prompt"][0]["content"] == "Let x be real.\n\nWhich numbers have this square?"


@pytest.mark.parametrize("answer", [None, "", [], ["\n"]])
def test_row_without_an_answer_is_left_out(answer):
    with pytest.raises(UnusableRowError, match=r"^here: field answer is empty"):
        convert_row({**raw_rows.MATH_RATED, "answer": answer}, "train", 0, "here")


@pytest.mark.parametrize("answer", [True, {"value": 3}, float("nan")])
def test_answer_of_another_kind_is_a_fault(answer):
    with pytest.raises(ConfigError, match=r"^here: field answer"):
        convert_row({**raw_rows.MATH_RATED, "answer": answer}, "train", 0, "here")


def test_rate_of_solving_stands_in_for_a_missing_difficulty():
    raw = {**raw_rows.DEEPSCALER, "llama8b_solve_rate": 0.75}
    assert convert_row(raw, "train", 0, "here")["difficulty"] == 0.25
    assert convert_row({**raw, "difficulty": 3.0}, "train", 0, "here")["difficulty"] == 3.0
    assert convert_row({**raw, "llama8b_solve_rate": None}, "train", 0, "here")["difficulty"] is None
