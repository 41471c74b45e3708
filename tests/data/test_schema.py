# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the problem schema, to and from records."""

import json

import numpy as np
import pyarrow as pa
import pytest

from grpo_jax.data.plain_json import plain_json
from grpo_jax.data.schema import problem_from_row, row_from_problem, user_text, with_json_text
from grpo_jax.records import ConfigError

ROW = {
    "prompt": [{"role": "user", "content": "Two and two?"}],
    "data_source": "sums",
    "ability": "math",
    "reward_model": {"style": "rule", "ground_truth": "4"},
    "extra_info": {"split": "train", "index": 3},
}


def test_row_round_trips_through_problem():
    problem = problem_from_row({**ROW, "domain": "math", "difficulty": 2}, "sums#3", "sums.jsonl:4")
    assert problem.difficulty == 2.0
    assert problem.extra == {"split": "train", "index": 3}
    again = problem_from_row(json.loads(json.dumps(row_from_problem(problem))), "sums#3", "again.jsonl:1")
    assert again == problem


def test_domain_comes_from_source_then_row_then_data_source():
    assert problem_from_row({**ROW, "domain": "math"}, "", "", domain="given").domain == "given"
    assert problem_from_row({**ROW, "domain": "math"}, "", "").domain == "math"
    assert problem_from_row(ROW, "", "").domain == "sums"


def test_values_of_numpy_and_pyarrow_become_plain_json():
    row = {
        **ROW,
        "prompt": np.array([{"role": "user", "content": np.str_("Two and two?")}], dtype=object),
        "reward_model": {"style": "rule", "ground_truth": np.array(["4", "four"])},
        "extra_info": pa.scalar({"index": 3, "sizes": [1, 2]}),
        "difficulty": np.float32(0.5),
    }
    problem = problem_from_row(row, "sums#3", "sums.parquet row 3")
    assert problem.ground_truth == ["4", "four"]
    assert problem.extra == {"index": 3, "sizes": [1, 2]}
    assert type(problem.messages[0]["content"]) is str
    assert type(problem.difficulty) is float


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": None}, "field prompt must be"),
        ({"prompt": "Two and two?"}, "field prompt must be"),
        ({"prompt": []}, "field prompt must be"),
        ({"prompt": [{"role": "user"}]}, r"field prompt\[0\]"),
        ({"prompt": [{"role": "robot", "content": "x"}]}, r"prompt\[0\].role"),
        ({"reward_model": None}, "field reward_model"),
        ({"reward_model": {"style": "rule"}}, "field reward_model.ground_truth"),
        ({"extra_info": [1]}, "field extra_info"),
        ({"extra_info": {"when": b"now"}}, "field extra_info.when"),
        ({"extra_info": {"score": float("nan")}}, "field extra_info.score"),
        ({"ability": 3}, "field ability"),
        ({"difficulty": "hard"}, "field difficulty"),
        ({"data_source": None}, "field data_source"),
    ],
)
def test_bad_row_names_place_and_field(change, field):
    with pytest.raises(ConfigError, match=rf"^sums\.jsonl:4: .*{field}") as caught:
        problem_from_row({**ROW, **change}, "sums#3", "sums.jsonl:4")
    assert "\n" not in str(caught.value)


def test_objects_without_json_form_are_refused():
    with pytest.raises(ConfigError, match="here is of type set"):
        plain_json({1}, "here")
    with pytest.raises(ConfigError, match="key"):
        plain_json({(1, 2): 3}, "here")
    assert plain_json({1: (2, 3)}, "here") == {"1": [2, 3]}


def test_user_text_is_the_last_user_message():
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "first"}]
    row = {**ROW, "prompt": [*messages, {"role": "assistant", "content": "a"}, {"role": "user", "content": "last"}]}
    assert user_text(problem_from_row(row, "", "")) == "last"


def with_truth(truth, **more):
    return {**ROW, "reward_model": {"style": "rule", "ground_truth": truth, **more}}


def test_text_without_a_mark_stays_text_even_if_it_is_json():
    for text in ('{"inputs": []}', "[1]", "4", '"4"'):
        assert problem_from_row(with_truth(text), "", "").ground_truth == text


@pytest.mark.parametrize("truths", [["4", "5"], [["4"], ["5", "6"]]])
def test_truths_of_one_type_stay_as_they_are_for_parquet(truths):
    rows = [with_truth(truth) for truth in truths]
    assert with_json_text(rows) == rows


def test_truths_of_mixed_form_survive_a_parquet_column():
    truths = [
        "4",
        ["4", "four"],
        {"label": "A", "choices": {"A": "x"}},
        {"calls": [], "functions": [{"a": 1}]},
        4.5,
        [],
    ]
    rows = with_json_text([*map(with_truth, truths), with_truth('{"a": null}', encoding="json")])
    table = pa.Table.from_pylist(rows)
    read = [problem_from_row(row, "", "").ground_truth for row in table.to_pylist()]
    assert read == [*truths, {"a": None}]


@pytest.mark.parametrize(("truth", "encoding"), [("{broken", "json"), (["4"], "json"), ("4", "yaml")])
def test_wrong_mark_is_refused(truth, encoding):
    with pytest.raises(ConfigError, match=r"^sums\.jsonl:4: field reward_model\."):
        problem_from_row(with_truth(truth, encoding=encoding), "", "sums.jsonl:4")
