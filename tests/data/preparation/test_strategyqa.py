# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""StrategyQA: raw rows to the problem schema."""

import json

import pytest

from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.data.preparation.strategyqa import convert_row
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import STRATEGYQA


@pytest.mark.parametrize(("answer", "word"), [(True, "yes"), (False, "no"), ("Yes", "yes"), ("false", "no")])
def test_answer_becomes_yes_or_no(answer, word):
    row = convert_row({**STRATEGYQA, "answer": answer}, "train", 0, "here")
    assert row["reward_model"]["ground_truth"] == word
    assert row["prompt"] == [{"role": "user", "content": STRATEGYQA["question"]}]


def test_facts_stay_out_of_the_prompt_as_text():
    row = convert_row(STRATEGYQA, "train", 0, "here")
    assert row["extra_info"]["facts"] == "Snow melts above 0 °C.\nSaunas are hot."


@pytest.mark.parametrize("answer", [None, "maybe", 2])
def test_other_answers_are_refused(answer):
    with pytest.raises(ConfigError, match=r"^here: field answer must be true or false"):
        convert_row({**STRATEGYQA, "answer": answer}, "train", 0, "here")


def test_published_json_array_is_read_and_a_bad_item_is_numbered(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps([STRATEGYQA, {**STRATEGYQA, "answer": None}]))
    with pytest.raises(ConfigError, match=r"train\.json item 2: field answer"):
        prepare("strategyqa", tmp_path / "train.json", tmp_path / "made.jsonl")
    report = prepare("strategyqa", tmp_path / "train.json", tmp_path / "made.jsonl", skip_bad_rows=True)
    assert (report.rows_in, report.rows_out) == (2, 1)
