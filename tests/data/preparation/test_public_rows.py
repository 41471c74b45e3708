# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Real rows of the public datasets: each file converts, and what is left out is known."""

import json

import pytest

from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.data.source_spec import parse_source
from grpo_jax.data.sources import ProblemSource
from grpo_jax.pddl.execution import Outcome, execute
from grpo_jax.pddl.plan_text import read_plan_file
from grpo_jax.pddl.task import load_task
from grpo_jax.records import RewardStatus
from grpo_jax.rewards.choice_answer import choice
from grpo_jax.rewards.math_answer import math_reward
from grpo_jax.rewards.text_answer import exact_match
from grpo_jax.rewards.yes_no_answer import yes_no

FOLDERS = {
    "gsm8k": "gsm8k",
    "math": "math",
    "mbpp": "mbpp",
    "humaneval": "humaneval",
    "code_contests": "code_contests_rllm",
    "arc": "arc",
    "strategyqa": "strategyqa",
    "nq_open": "nq_open",
    "deepscaler": "deepscaler",
    "bfcl": "bfcl",
}
LEFT_OUT = {"math_train.jsonl": [887, 1010, 5328, 5330]}
"""File -> lines that are published without an answer."""


def rows_of(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line.strip()]


@pytest.mark.parametrize("dataset", FOLDERS)
def test_every_raw_file_converts_and_each_missing_row_is_explained(shared_data, tmp_path, dataset):
    files = sorted((shared_data / FOLDERS[dataset]).glob("*.jsonl"))
    assert files
    for path in files:
        report = prepare(dataset, path, tmp_path / path.name)
        missing = LEFT_OUT.get(path.name, [])
        assert report.rows_in == len(rows_of(path))
        assert report.rows_out == report.rows_in - len(missing) == len(rows_of(tmp_path / path.name))
        assert [row.where for row in report.left_out] == [f"{path}:{line}" for line in missing]


@pytest.mark.parametrize("dataset", FOLDERS)
def test_whole_folder_is_the_same_problems_in_parquet_and_jsonl(shared_data, tmp_path, dataset):
    for ending in ("parquet", "jsonl"):
        report = prepare(dataset, shared_data / FOLDERS[dataset], tmp_path / f"made.{ending}")
    parquet, jsonl = (
        ProblemSource(parse_source(f"any::{tmp_path}/made.{ending}"), "train") for ending in ("parquet", "jsonl")
    )
    assert len(parquet) == len(jsonl) == report.rows_out
    for index in range(0, len(parquet), 37):
        first, second = parquet[index], jsonl[index]
        assert first.messages == second.messages
        assert first.ground_truth == second.ground_truth
        assert (first.extra, first.difficulty) == (second.extra, second.difficulty)


@pytest.mark.parametrize(
    ("dataset", "reward", "answer"),
    [
        ("gsm8k", math_reward, lambda truth: f"\\boxed{{{truth}}}"),
        ("math", math_reward, lambda truth: f"\\boxed{{{truth}}}"),
        ("deepscaler", math_reward, lambda truth: f"\\boxed{{{truth if isinstance(truth, str) else truth[-1]}}}"),
        ("arc", choice, lambda truth: f"<answer>{truth['label']}</answer>"),
        ("strategyqa", yes_no, lambda truth: f"<answer>{truth}</answer>"),
        ("nq_open", exact_match, lambda truth: f"<answer>{truth[-1]}</answer>"),
    ],
)
def test_ground_truths_are_right_answers_to_their_verifiers(shared_data, tmp_path, dataset, reward, answer):
    prepare(dataset, shared_data / FOLDERS[dataset], tmp_path / "made.jsonl")
    source = ProblemSource(parse_source(f"any::{tmp_path}/made.jsonl"), "train")
    for index in range(0, len(source), 23):
        truth = source[index].ground_truth
        assert reward(source[index], answer(truth)).status == RewardStatus.PASS, truth


def test_splits_and_difficulties_are_those_of_the_files(shared_data, tmp_path):
    prepare("mbpp", shared_data / "mbpp" / "mbpp.jsonl", tmp_path / "mbpp.jsonl")
    rows = rows_of(tmp_path / "mbpp.jsonl")
    for row in rows:
        number = int(row["extra_info"]["id"])
        splits = ("prompt", "test", "validation", "train")
        assert row["reward_model"]["ground_truth"]["entry_point"]
        assert row["extra_info"]["split"] == splits[(number > 10) + (number > 510) + (number > 600)]
    prepare("math", shared_data / "math", tmp_path / "math.jsonl")
    rows = rows_of(tmp_path / "math.jsonl")
    assert sum(row["difficulty"] is None for row in rows) == 2
    assert {row["difficulty"] for row in rows} == {None, 1.0, 2.0, 3.0, 4.0, 5.0}
    assert {row["extra_info"]["split"] for row in rows} == {"train", "test"}


def test_leetcode_references_pass_their_rewritten_tests(shared_data, tmp_path):
    prepare("code_contests", shared_data / "code_contests_rllm" / "leetcode_test.jsonl", tmp_path / "made.jsonl")
    rows = rows_of(tmp_path / "made.jsonl")
    for row in rows[::4]:
        truth, names = row["reward_model"]["ground_truth"], {}
        assert truth["kind"] == "asserts"
        exec("\n".join([*truth["imports"], row["extra_info"]["reference_solution"]]), names)
        for test in truth["tests"]:
            exec(test, names)


@pytest.mark.parametrize(("folder", "count"), [("pddl", 749), ("pddl_published", 217)])
def test_planning_trees_become_sources_with_their_reference_plans(shared_data, tmp_path, folder, count):
    report = prepare("pddl", shared_data / folder, tmp_path / "made")
    assert (report.rows_in, report.rows_out, report.left_out) == (count, count, ())
    source = ProblemSource(parse_source(str(tmp_path / "made")), "train")
    assert len(source) == count
    assert set(source.rows_by_domain()) == {path.name for path in (shared_data / folder).iterdir() if path.is_dir()}
    for index in range(0, count, 25):
        truth = source[index].ground_truth
        task = load_task(truth["domain_file"], truth["problem_file"])
        assert (truth["plan_file"] is None) == (folder == "pddl_published")
        if truth["plan_file"]:
            assert execute(task, read_plan_file(truth["plan_file"])).outcome is Outcome.VALID
