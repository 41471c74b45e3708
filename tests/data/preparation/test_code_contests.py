# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Contest problems: every published shape of tests to one of the agreed kinds."""

import pytest

from grpo_jax.data.preparation.code_contests import convert_row
from grpo_jax.data.preparation.row_building import UnusableRowError
from grpo_jax.records import ConfigError
from tests.fakes import raw_rows


def truth_of(raw):
    return convert_row(raw, "train", 0, "here")["reward_model"]["ground_truth"]


def test_lists_pairs_published_and_input_output_tests_become_stdin_cases():
    lists = {"kind": "stdin", "inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}
    assert truth_of(raw_rows.STDIN_LISTS) == lists
    assert truth_of(raw_rows.PUBLISHED_CONTEST) == lists
    assert truth_of(raw_rows.STDIN_PAIRS) == {
        "kind": "stdin",
        "inputs": ["3"],
        "outputs": ["1.5"],
        "tolerance": 1e-6,
    }
    assert truth_of(raw_rows.INPUT_OUTPUT) == {"kind": "stdin", "inputs": ["1 2\n"], "outputs": ["3\n"]}


def test_named_functions_become_calls():
    assert truth_of(raw_rows.NAMED_FUNCTION) == {
        "kind": "calls",
        "entry_point": "add",
        "inputs": [[1, 2]],
        "outputs": [3],
    }
    live = truth_of(raw_rows.LIVE_PAIRS)
    assert (live["kind"], live["entry_point"]) == ("calls", "add")
    assert (live["inputs"], live["outputs"]) == ([[1, [2, 3]]], [[3, 4]])
    assert live["starter_code"] == raw_rows.LIVE_PAIRS["starter_code"]


def test_functional_checks_become_asserts_with_the_starter_code():
    truth = truth_of(raw_rows.FUNCTIONAL)
    assert truth["kind"] == "asserts"
    assert truth["entry_point"] == "Solution().turn"
    assert truth["starter_code"].startswith("class Solution:")


def test_statement_stays_but_for_the_publishers_instruction():
    text = convert_row(raw_rows.FUNCTIONAL, "train", 0, "here")["prompt"][0]["content"]
    assert text.startswith("Reverse a list.")
    assert text.endswith("```")
    assert convert_row(raw_rows.STDIN_LISTS, "x", 0, "here")["prompt"][0]["content"] == raw_rows.STATEMENT
    live = convert_row(raw_rows.LIVE_PAIRS, "x", 0, "here")["prompt"][0]["content"]
    assert raw_rows.LIVE_PAIRS["starter_code"] in live


def test_rating_grade_limit_and_python_solution_are_kept():
    published, graded = (
        convert_row(raw, "train", 0, "here") for raw in (raw_rows.PUBLISHED_CONTEST, raw_rows.INPUT_OUTPUT)
    )
    assert (published["difficulty"], graded["difficulty"]) == (800.0, 2.0)
    assert published["extra_info"]["reference_solution"] == graded["extra_info"]["reference_solution"]
    limits = [
        convert_row(raw, "train", 0, "here")["extra_info"]["time_limit_seconds"]
        for raw in (raw_rows.STDIN_LISTS, raw_rows.STDIN_PAIRS, raw_rows.PUBLISHED_CONTEST, raw_rows.INPUT_OUTPUT)
    ]
    assert limits == [2.5, 1.5, 1.0, None]


@pytest.mark.parametrize(
    ("statement", "tolerance"),
    [
        ("if its absolute or relative error does not exceed 10^{-4}.", 1e-4),
        (r"the relative or absolute error is at most $10^{-9}$", 1e-9),
        ("with relative error at most 1e-6", 1e-6),
        ("an absolute error of 0.001 is fine", 1e-3),
        ("the error of 10^{-4} is in the data", None),
    ],
)
def test_tolerance_is_read_from_the_statement(statement, tolerance):
    found = truth_of({**raw_rows.STDIN_LISTS, "problem": statement}).get("tolerance")
    assert found == (None if tolerance is None else pytest.approx(tolerance, rel=1e-12))


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ({"inputs": ["1"], "outputs": []}, "not as many outputs"),
        ({"inputs": [1], "outputs": ["1"]}, "must be text"),
        ({"fn_name": "add", "inputs": ["3"], "outputs": [3]}, "list of arguments"),
        ("{broken", "not valid JSON"),
        (3, "neither inputs and outputs"),
        ([{"input": "1", "output": "2", "testtype": "functional"}], "metadata.func_name"),
    ],
)
def test_faulty_tests_are_named(tests, message):
    with pytest.raises(ConfigError, match=f"^here: .*{message}") as caught:
        truth_of({"problem": "Add.", "tests": tests})
    assert not isinstance(caught.value, UnusableRowError)


@pytest.mark.parametrize("tests", [{"inputs": [], "outputs": []}, []])
def test_row_without_tests_is_left_out(tests):
    with pytest.raises(UnusableRowError, match="no test"):
        truth_of({"problem": "Add.", "tests": tests})
