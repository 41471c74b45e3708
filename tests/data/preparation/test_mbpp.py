# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""MBPP: raw rows to the problem schema."""

import pytest

from grpo_jax.data.preparation.mbpp import convert_row, split_of
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import MBPP, MBPP_SANITIZED


@pytest.mark.parametrize("shown", [0, 1, 2, 9])
def test_as_many_tests_are_shown_as_asked_and_all_count(shown):
    row = convert_row(MBPP, "train", 0, "here", shown_tests=shown)
    text = row["prompt"][0]["content"]
    assert text.startswith(MBPP["text"])
    assert [test in text for test in MBPP["test_list"]] == [number < shown for number in range(3)]
    assert row["reward_model"]["ground_truth"]["tests"] == MBPP["test_list"]
    assert row["extra_info"]["shown_tests"] == min(shown, 3)


def test_one_test_is_shown_by_default_since_it_names_the_function():
    text = convert_row(MBPP, "train", 0, "here")["prompt"][0]["content"]
    assert text.endswith("\nassert double(2) == 4")


def test_full_and_sanitized_rows_have_one_form():
    full, sanitized = (convert_row(row, "x", 0, "here") for row in (MBPP, MBPP_SANITIZED))
    truths = [row["reward_model"]["ground_truth"] for row in (full, sanitized)]
    assert truths[0].keys() == truths[1].keys()
    assert [truth["entry_point"] for truth in truths] == ["double", "halve"]
    assert truths[1]["imports"] == ["import math"]
    assert "\r" not in full["extra_info"]["reference_solution"]


def test_reference_solution_passes_the_tests_of_the_ground_truth():
    for raw in (MBPP, MBPP_SANITIZED):
        row = convert_row(raw, "x", 0, "here")
        truth, names = row["reward_model"]["ground_truth"], {}
        parts = [*truth["imports"], row["extra_info"]["reference_solution"], truth["setup"], *truth["tests"]]
        exec("\n".join(parts), names)
        assert callable(names[truth["entry_point"]])


def test_published_split_follows_from_the_task_number():
    numbers = (1, 10, 11, 510, 511, 600, 601, 974)
    expected = ["prompt"] * 2 + ["test"] * 2 + ["validation"] * 2 + ["train"] * 2
    assert [split_of({"task_id": number}) for number in numbers] == expected
    assert split_of({"task_id": 975}) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"text": ""}, "text"),
        ({"test_list": []}, "test_list"),
        ({"test_list": "assert True"}, "test_list"),
        ({"test_list": [1]}, "test_list"),
        ({"code": 3}, "fields code"),
    ],
)
def test_bad_row_is_named(change, field):
    with pytest.raises(ConfigError, match=f"^here: .*{field}"):
        convert_row({**MBPP, **change}, "x", 0, "here")


def test_entry_point_of_code_that_does_not_parse_is_unknown():
    row = convert_row({**MBPP, "code": "def double(n)"}, "x", 0, "here")
    assert row["reward_model"]["ground_truth"]["entry_point"] is None


def test_odd_escapes_in_published_code_cause_no_warning():
    code = "def double(n):\n    '''\\d'''\n    return 2 * n"
    row = convert_row({**MBPP, "code": code}, "x", 0, "here")
    assert row["reward_model"]["ground_truth"]["entry_point"] == "double"
