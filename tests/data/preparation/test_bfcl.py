# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""BFCL: questions joined with their answers."""

import json

import pytest

from grpo_jax.data.preparation.bfcl import convert_row
from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.data.preparation.row_building import UnusableRowError
from grpo_jax.records import ConfigError
from tests.fakes import raw_rows


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def folder(tmp_path):
    """The published layout, with the endings that the publishers give."""
    write(tmp_path / "bfcl" / "BFCL_v4_simple_python.json", [raw_rows.BFCL])
    write(tmp_path / "bfcl" / "BFCL_v4_irrelevance.json", [raw_rows.BFCL_IRRELEVANCE])
    write(tmp_path / "bfcl" / "BFCL_v4_multi_turn_base.json", [raw_rows.BFCL_MULTI_TURN])
    write(tmp_path / "bfcl" / "possible_answer" / "BFCL_v4_simple_python.json", [raw_rows.BFCL_ANSWER])
    write(tmp_path / "bfcl" / "possible_answer" / "BFCL_v4_multi_turn_base.json", [raw_rows.BFCL_MULTI_TURN_ANSWER])
    write(tmp_path / "bfcl" / "multi_turn_func_doc" / "gorilla_file_system.json", raw_rows.FILE_SYSTEM)
    return tmp_path / "bfcl"


def prepared(folder):
    report = prepare("bfcl", folder, folder.parent / "made.jsonl")
    rows = [json.loads(line) for line in (folder.parent / "made.jsonl").read_text().splitlines()]
    return report, {row["extra_info"]["category"]: row for row in rows}


def test_questions_are_joined_with_answers_and_irrelevance_calls_nothing(folder):
    report, rows = prepared(folder)
    assert (report.rows_in, report.rows_out, report.left_out) == (3, 3, ())
    assert rows["simple_python"]["reward_model"]["ground_truth"] == {
        "functions": [raw_rows.WEATHER],
        "calls": raw_rows.BFCL_ANSWER["ground_truth"],
    }
    assert rows["irrelevance"]["reward_model"]["ground_truth"]["calls"] == []


def test_prompt_holds_the_functions_but_no_way_to_write_a_call(folder):
    _, rows = prepared(folder)
    question, listed = rows["simple_python"]["prompt"][0]["content"].split("\n\nFunctions:\n")
    assert question == "What will the weather be in Rome?"
    assert json.loads(listed) == raw_rows.WEATHER


def test_multi_turn_conversations_give_their_first_turn_and_the_report_says_so(folder):
    report, rows = prepared(folder)
    row = rows["multi_turn_base"]
    assert row["prompt"][0]["content"].startswith("Go to docs and list it.")
    truth = row["reward_model"]["ground_truth"]
    assert truth["calls"] == [{"cd": {"folder": ["docs"]}}, {"ls": {"a": [True]}}]
    assert [function["name"] for function in truth["functions"]] == ["cd", "ls", "rm"]
    assert json.loads(row["extra_info"]["later_turns"]) == raw_rows.BFCL_MULTI_TURN["question"][1:]
    assert json.loads(row["extra_info"]["later_calls"]) == [["rm(file_name='draft')"]]
    assert report.notes == (("multi-turn conversations, of which the first turn is the problem", 1),)
    assert "note on 1: multi-turn" in str(report)


def test_messages_before_the_question_pass_through():
    turn = [{"role": "system", "content": "Today is Monday."}, *raw_rows.BFCL["question"][0]]
    row = convert_row({**raw_rows.BFCL, **raw_rows.BFCL_ANSWER, "question": [turn]}, "test", 0, "here")
    assert row["prompt"][0] == turn[0]
    assert row["prompt"][1]["content"].startswith("What will the weather be in Rome?")


def test_language_of_the_category_is_kept():
    rows = [
        convert_row({**raw_rows.BFCL, **raw_rows.BFCL_ANSWER, "id": name}, "test", 0, "here")
        for name in ("simple_python_1", "simple_java_2", "simple_javascript_3", "live_parallel_4-1-0")
    ]
    assert [row["extra_info"]["language"] for row in rows] == ["python", "java", "javascript", "python"]


def test_missing_companions_are_named(folder):
    (folder / "possible_answer" / "BFCL_v4_simple_python.json").unlink()
    with pytest.raises(
        ConfigError, match=r"simple_python\.json:1: .*possible_answer/BFCL_v4_simple_python.*is missing"
    ):
        prepare("bfcl", folder / "BFCL_v4_simple_python.json", folder / "made.jsonl")
    write(folder / "possible_answer" / "BFCL_v4_simple_python.jsonl", [{"id": "other", "ground_truth": []}])
    with pytest.raises(ConfigError, match="has no answer of id 'simple_python_0'"):
        prepare("bfcl", folder / "BFCL_v4_simple_python.json", folder / "made.jsonl")
    (folder / "multi_turn_func_doc" / "gorilla_file_system.json").unlink()
    with pytest.raises(ConfigError, match=r"gorilla_file_system.*is missing"):
        prepare("bfcl", folder / "BFCL_v4_multi_turn_base.json", folder / "made.jsonl")


def test_question_without_an_answer_cannot_be_used_alone():
    with pytest.raises(ConfigError, match="prepare bfcl"):
        convert_row(raw_rows.BFCL, "test", 0, "here")


def test_first_turn_without_a_call_is_left_out():
    row = {**raw_rows.BFCL_MULTI_TURN, "function": raw_rows.FILE_SYSTEM, "ground_truth": [[], ["ls()"]]}
    with pytest.raises(UnusableRowError, match="first turn"):
        convert_row(row, "test", 0, "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"function": "weather"}, "field function"),
        ({"question": []}, "field question"),
        ({"question": [[{"role": "user"}]]}, r"field question\[0\]"),
        ({"ground_truth": ["weather.get()"]}, "field ground_truth"),
        ({"ground_truth": [["weather.get("]]}, "cannot be read"),
        ({"ground_truth": [["ls(a=b)"]]}, "cannot be read"),
        ({"ground_truth": [["ls"]]}, "not a call"),
    ],
)
def test_bad_row_is_named(change, message):
    with pytest.raises(ConfigError, match=f"^here: .*{message}"):
        convert_row({**raw_rows.BFCL, **raw_rows.BFCL_ANSWER, **change}, "test", 0, "here")


def test_relevance_category_without_reference_is_left_out(folder):
    write(folder / "BFCL_v4_live_relevance.json", [{**raw_rows.BFCL, "id": "live_relevance_0"}])
    report, _ = prepared(folder)
    assert (report.rows_in, report.rows_out) == (4, 3)
    assert "relevance names no right call" in report.left_out[0].reason


def test_objects_among_reference_arguments_hold_accepted_values_by_key():
    golds = [["ls(a={'depth': 2, 'names': [{'x': 1}]})"], []]
    row = {**raw_rows.BFCL_MULTI_TURN, "function": raw_rows.FILE_SYSTEM, "ground_truth": golds}
    (call,) = convert_row(row, "test", 0, "here")["reward_model"]["ground_truth"]["calls"]
    assert call == {"ls": {"a": [{"depth": [2], "names": [[{"x": [1]}]]}]}}
