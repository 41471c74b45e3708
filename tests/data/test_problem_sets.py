# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Buckets of whole domains, by column and by row."""

import json

import pytest

from grpo_jax.config import DataConfig, Domain, RunConfig
from grpo_jax.curriculum_config import DifficultyRule
from grpo_jax.data.difficulty import difficulty_score, sort_into_buckets
from grpo_jax.data.files import write_rows
from grpo_jax.data.problem_sets import buckets_by_domain, training_problems
from grpo_jax.records import ConfigError


def rows(start, stop, level=True):
    return [
        {
            "prompt": [{"role": "user", "content": f"Question {i}?"}],
            "data_source": "sums",
            "reward_model": {"style": "rule", "ground_truth": str(i)},
            "extra_info": {"index": i, "split": ("train", "test")[i % 3 == 0]}
            | ({"level": f"Level {i * 7 % 13}"} if level else {}),
            "difficulty": float(i * 5 % 17),
        }
        for i in range(start, stop)
    ]


def buckets(sources, rule):
    config = RunConfig(data=DataConfig(train_sources=sources), domains={"math": Domain(difficulty=rule)})
    _, problems = training_problems(config)
    return problems["math"], buckets_by_domain(config, problems)["math"]


@pytest.mark.parametrize("key", ["", "difficulty", "extra_info.level", "extra_info.index", "ground_truth"])
@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_columns_give_the_buckets_that_rows_give(key, ending, tmp_path):
    write_rows(tmp_path / f"a.{ending}", rows(0, 40))
    write_rows(tmp_path / f"b.{ending}", rows(40, 70))
    rule = DifficultyRule(key=key)
    problems, found = buckets((f"math::{tmp_path}/a.{ending}@train", f"math::{tmp_path}/b.{ending}"), rule)
    scores = [difficulty_score(problems[index], rule) for index in range(len(problems))]
    assert len(scores) == 26 + 30
    assert found.tolist() == sort_into_buckets(scores, (0.4, 0.8)).tolist()
    assert set(found.tolist()) == {0, 1, 2}


def test_rows_without_a_score_are_named_or_medium(tmp_path):
    write_rows(tmp_path / "a.parquet", [*rows(0, 9), {**rows(9, 10)[0], "difficulty": None}])
    source = (f"math::{tmp_path}/a.parquet",)
    with pytest.raises(ConfigError, match=r"problem a\.parquet#9.* has no number at difficulty"):
        buckets(source, DifficultyRule())
    assert buckets(source, DifficultyRule(missing="medium"))[1][9] == 1
    write_rows(tmp_path / "b.parquet", rows(0, 5, level=False))
    with pytest.raises(ConfigError, match=r"no number at extra_info\.level"):
        buckets((f"math::{tmp_path}/b.parquet",), DifficultyRule(key="extra_info.level"))


def test_planning_rows_are_scored_by_their_problem_files(tmp_path):
    (tmp_path / "domain.pddl").write_text("")
    names = [f"ferry-l{3 + i}-c2-s{100 + i}.pddl" for i in range(5)]
    lines = []
    for name in names:
        (tmp_path / name).write_text("")
        lines.append(json.dumps({"prompt": name, "meta": {"problem_file": name, "domain_file": "domain.pddl"}}))
    (tmp_path / "ferry.jsonl").write_text("\n".join(lines))
    found = buckets((f"math::{tmp_path}/ferry.jsonl",), DifficultyRule(rule="file_name"))[1]
    assert found.tolist() == [0, 0, 1, 1, 2]
