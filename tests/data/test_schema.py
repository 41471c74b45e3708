# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the problem schema, to and from records."""

import json

import numpy as np
import pyarrow as pa
import pytest

from grpo_jax.data.plain_json import plain_json
from grpo_jax.data.schema import problem_from_row, row_from_problem, user_text
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
