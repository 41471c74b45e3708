# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.data.source_spec import parse_source
from grpo_jax.data.sources import ProblemSource
from grpo_jax.records import ConfigError, RewardStatus
from grpo_jax.rewards.planning.plan_rewards import planning_reward


def test_words_in_a_folder_of_problems_out(tmp_path):
    report = prepare("planning_generated", "count=3 scenarios=ferry,delivery delivery.s=2", tmp_path / "made")
    assert str(report) == "6 rows in, 6 rows out"
    assert sorted(path.name for path in (tmp_path / "made").glob("*.jsonl")) == ["delivery.jsonl", "ferry.jsonl"]
    assert len(list((tmp_path / "made" / "delivery").glob("delivery-s2-p*.soln"))) == 3


def test_the_folder_is_a_source_whose_reference_plans_pass(tmp_path):
    prepare("planning_generated", "count=4 seed=2", tmp_path / "made")
    source = ProblemSource(parse_source(str(tmp_path / "made")), "train")
    assert len(source) == 20
    for index in range(20):
        problem = source[index]
        assert problem.domain == problem.ground_truth["scenario"]
        plan = Path(problem.ground_truth["plan_file"]).read_text(encoding="utf-8")
        assert planning_reward(problem, f"<plan>{plan}</plan>").status is RewardStatus.PASS


@pytest.mark.parametrize(
    ("words", "output", "message"),
    [
        ("default", "made.jsonl", "are written as a folder"),
        ("data/raw", "made", "'data/raw' is not KEY=VALUE; write default"),
    ],
)
def test_a_file_as_output_and_a_path_as_input_are_refused(tmp_path, words, output, message):
    with pytest.raises(ConfigError, match=message):
        prepare("planning_generated", words, tmp_path / output)
