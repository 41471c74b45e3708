# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Trees of PDDL files to a folder that is a source."""

import json

import pytest

from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.data.source_spec import parse_source
from grpo_jax.data.sources import ProblemSource
from grpo_jax.pddl.execution import Outcome, execute
from grpo_jax.pddl.plan_text import read_plan_file
from grpo_jax.pddl.task import load_task
from grpo_jax.records import ConfigError

DOMAIN = """; a comment that only costs tokens
(define (domain LAMPS)
  (:requirements :strips)

  (:predicates (on ?l) (lamp ?l))
  (:action light :parameters (?l) :precondition (lamp ?l) :effect (on ?l)))
"""
PROBLEM = "(define (problem p{0}) (:domain lamps) (:objects a b) (:init (lamp a) (lamp b)) (:goal (on a)))\n"
TIMED = PROBLEM.replace("(:goal", "(:init (at 5 (on a))) (:goal")


@pytest.fixture
def tree(tmp_path):
    """One scenario with problems and plans in folders of their own, one with everything in one folder."""
    root = tmp_path / "tree"
    for folder in ("lamps/problems", "lamps/plans", "more"):
        (root / folder).mkdir(parents=True)
    (root / "lamps" / "domain.pddl").write_text(DOMAIN)
    (root / "lamps" / "index.jsonl").write_text('{"problem_file": "p1.pddl"}\n')
    for number in (1, 2):
        (root / "lamps" / "problems" / f"p{number}.pddl").write_text(PROBLEM.format(number))
    (root / "lamps" / "plans" / "p1.soln").write_text("(light a)\n")
    (root / "more" / "rules.pddl").write_text(DOMAIN)
    (root / "more" / "p1.pddl").write_text(PROBLEM.format(3))
    (root / "more" / "p1.plan").write_text("(light b)\n(light a)\n")
    return root


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_folder_holds_a_file_by_scenario_and_the_pddl_beside(tree, tmp_path):
    report = prepare("pddl", tree, tmp_path / "made")
    assert (report.rows_in, report.rows_out, report.left_out) == (3, 3, ())
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "lamps",
        "lamps.jsonl",
        "more",
        "more.jsonl",
    ]
    first, second = rows_of(tmp_path / "made" / "lamps.jsonl")
    assert first["meta"] == {
        "problem_file": "lamps/p1.pddl",
        "domain_file": "lamps/domain.pddl",
        "plan_file": "lamps/p1.soln",
        "scenario": "lamps",
    }
    assert second["meta"]["plan_file"] is None
    assert (tmp_path / "made" / "lamps" / "p1.pddl").read_text() == PROBLEM.format(1)
    assert (tmp_path / "made" / "more" / "p1.soln").read_text() == "(light b)\n(light a)\n"


def test_prompt_holds_domain_and_problem_without_comments(tree, tmp_path):
    prepare("pddl", tree, tmp_path / "made")
    prompt = rows_of(tmp_path / "made" / "lamps.jsonl")[0]["prompt"]
    assert "(define (domain LAMPS)" in prompt
    assert PROBLEM.format(1).strip() in prompt
    assert "comment" not in prompt


def test_folder_is_a_source_wherever_it_is_moved(tree, tmp_path):
    prepare("pddl", tree, tmp_path / "made")
    (tmp_path / "made").rename(tmp_path / "moved")
    source = ProblemSource(parse_source(str(tmp_path / "moved")), "train")
    assert {name: len(rows) for name, rows in source.rows_by_domain().items()} == {"lamps": 2, "more": 1}
    truth = source[0].ground_truth
    task = load_task(truth["domain_file"], truth["problem_file"])
    assert execute(task, read_plan_file(truth["plan_file"])).outcome is Outcome.VALID


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p9.pddl", "(define (problem p)", "never closed"),
        ("p9.pddl", "(define (problem p) (:goal (on a)))", "does not say its"),
        ("p9.pddl", "(define (thing p))", "neither a domain nor a problem"),
        ("p9.pddl", PROBLEM.replace("lamps", "candles"), "defines its domain candles"),
        ("p9.pddl", TIMED, "p9.pddl"),
        ("p1.soln", "light a, please (\n(light", "p1.soln"),
    ],
)
def test_unusable_file_is_named_and_left_out_on_request(tree, tmp_path, name, text, message):
    (tree / "lamps" / "problems" / name).write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        prepare("pddl", tree, tmp_path / "made")
    assert "--skip-bad-rows" in str(caught.value)
    report = prepare("pddl", tree, tmp_path / "made", skip_bad_rows=True)
    assert report.rows_in - report.rows_out == len(report.left_out) == 1
    assert message in report.left_out[0].reason or message in report.left_out[0].where


def test_two_domain_files_of_one_name_are_refused_unless_the_name_decides(tree, tmp_path):
    (tree / "more" / "p1-domain.pddl").write_text(DOMAIN)
    prepare("pddl", tree, tmp_path / "made")
    assert rows_of(tmp_path / "made" / "more.jsonl")[0]["meta"]["domain_file"] == "more/p1-domain.pddl"
    (tree / "more" / "p2.pddl").write_text(PROBLEM.format(4))
    with pytest.raises(ConfigError, match=r"2 files in .* define its domain lamps"):
        prepare("pddl", tree, tmp_path / "made")


def test_scenarios_of_equal_folder_names_are_told_apart(tmp_path):
    for year in ("1998", "2000"):
        (tmp_path / "tree" / year / "lamps").mkdir(parents=True)
        (tmp_path / "tree" / year / "lamps" / "domain.pddl").write_text(DOMAIN)
        (tmp_path / "tree" / year / "lamps" / "p1.pddl").write_text(PROBLEM.format(1))
    prepare("pddl", tmp_path / "tree", tmp_path / "made")
    assert sorted(path.name for path in (tmp_path / "made").glob("*.jsonl")) == ["1998_lamps.jsonl", "2000_lamps.jsonl"]


def test_problems_of_equal_file_names_are_told_apart(tree, tmp_path):
    (tree / "lamps" / "test").mkdir()
    (tree / "lamps" / "test" / "p1.pddl").write_text(PROBLEM.format(7))
    prepare("pddl", tree, tmp_path / "made")
    files = [row["meta"]["problem_file"] for row in rows_of(tmp_path / "made" / "lamps.jsonl")]
    assert files == ["lamps/problems_p1.pddl", "lamps/problems_p2.pddl", "lamps/test_p1.pddl"]
    assert "p7" in (tmp_path / "made" / files[2]).read_text()


def test_wrong_paths_are_refused(tree, tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        prepare("pddl", tree / "absent", tmp_path / "made")
    with pytest.raises(ConfigError, match="written as a folder"):
        prepare("pddl", tree, tmp_path / "made.jsonl")
    with pytest.raises(ConfigError, match="defines a problem"):
        prepare("pddl", tree / "lamps" / "plans", tmp_path / "made")
    with pytest.raises(ConfigError, match="has no splits"):
        prepare("pddl", tree, tmp_path / "made", split="train")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "other.jsonl").write_text("")
    with pytest.raises(ConfigError, match=r"holds other.jsonl of other problems"):
        prepare("pddl", tree, tmp_path / "made")
