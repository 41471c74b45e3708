# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The planning layout as a source."""

import json

import pytest

from grpo_jax.data.planning_problems.write import write_planning_problems
from grpo_jax.data.source_spec import parse_source
from grpo_jax.data.sources import ProblemSource
from grpo_jax.records import ConfigError


def source(text, **settings):
    return ProblemSource(parse_source(text), "train", **settings)


@pytest.fixture
def folder(tmp_path):
    for scenario in ("ferry", "grippers"):
        (tmp_path / "plans" / scenario).mkdir(parents=True)
        (tmp_path / "plans" / scenario / "domain.pddl").write_text("(define)")
        lines = []
        for number in range(3):
            (tmp_path / "plans" / scenario / f"p{number}.pddl").write_text("(define)")
            meta = {"problem_file": f"{scenario}/p{number}.pddl", "domain_file": f"{scenario}/domain.pddl"}
            lines.append({"prompt": f"Plan {scenario} {number}.", "meta": {**meta, "scenario": scenario}})
        (tmp_path / "plans" / f"{scenario}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "plans"


def test_file_names_are_the_domains_unless_one_is_given(folder):
    own = source(str(folder)).rows_by_domain()
    assert {name: indices.tolist() for name, indices in own.items()} == {"ferry": [0, 1, 2], "grippers": [3, 4, 5]}
    given = source(f"planning::{folder}")
    assert list(given.rows_by_domain()) == ["planning"]
    assert {problem.domain for problem in given} == {"planning"}
    assert list(source(f"{folder}/ferry.jsonl").rows_by_domain()) == ["ferry"]


def test_paths_are_resolved_from_the_files_folder(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    problem = source("planning::plans")[4]
    assert problem.messages == ({"role": "user", "content": "Plan grippers 1."},)
    assert problem.ground_truth == {
        "domain_file": str(folder / "grippers/domain.pddl"),
        "problem_file": str(folder / "grippers/p1.pddl"),
        "plan_file": None,
        "scenario": "grippers",
    }
    assert problem.data_source == "planning/grippers"
    assert problem.extra["index"] == 1
    assert problem.id.startswith("grippers.jsonl#1-")


def test_missing_pddl_file_is_named_with_file_and_line(folder):
    (folder / "ferry" / "p1.pddl").unlink()
    with pytest.raises(ConfigError, match=r"ferry\.jsonl:2: field meta\.problem_file is 'ferry/p1\.pddl'"):
        source(f"planning::{folder}")
    left = source(f"planning::{folder}", skip_bad_rows=True)
    assert len(left) == 5
    assert left.num_bad_rows == 1


def test_rows_without_files_or_text_are_refused(folder):
    good = json.loads((folder / "ferry.jsonl").read_text().splitlines()[0])
    for name, row, said in (
        ("a", {**good, "prompt": ["x"]}, "prompt of a planning row must be a string"),
        ("b", {**good, "meta": {**good["meta"], "domain_file": None}}, r"meta\.domain_file must be the path"),
        ("c", {**good, "meta": {**good["meta"], "plan_file": "gone.soln"}}, r"meta\.plan_file is 'gone\.soln'"),
    ):
        (folder / f"{name}.jsonl").write_text(json.dumps(row))
        with pytest.raises(ConfigError, match=rf"{name}\.jsonl:1: field {said}"):
            source(f"{folder}/{name}.jsonl")


def test_generated_problems_are_a_source(tmp_path):
    write_planning_problems(tmp_path, ("ferry",), count=3)
    problems = source(f"planning::{tmp_path}")
    assert len(problems) == 3
    assert problems[0].ground_truth["plan_file"].endswith(".soln")
    assert problems[0].ground_truth["scenario"] == "ferry"


def test_folder_in_no_layout_is_no_dataset_of_the_hub(tmp_path):
    with pytest.raises(ConfigError, match="the folder holds no"):
        source(f"planning::{tmp_path}")
    with pytest.raises(ConfigError, match="no such file"):
        source(f"planning::{tmp_path}/none")
