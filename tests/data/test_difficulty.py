# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores by rule, and the buckets they fall into."""

import math
import random
from pathlib import Path

import numpy as np
import pytest

from grpo_jax.config import Domain, RunConfig
from grpo_jax.curriculum_config import DifficultyRule
from grpo_jax.data.difficulty import difficulty_score, file_name_score, sort_into_buckets
from grpo_jax.records import ConfigError, Problem

BY_NAME = DifficultyRule(rule="file_name")
PRODUCT = DifficultyRule(rule="file_name", combine="product")


def problem(difficulty=None, ground_truth="1", text="Two and two?", **extra):
    messages = ({"role": "user", "content": text},)
    return Problem("p#0", "math", messages, ground_truth=ground_truth, difficulty=difficulty, extra=extra)


@pytest.mark.parametrize(
    ("name", "total", "product"),
    [
        ("grippers-n1-r4-o3-s299249445.pddl", 5 * 1 + 3 * 4 + 2 * 3, 1 * 4 * 3),
        ("bw_ops3_n4_seed200074.pddl", 4, 4),
        ("bw_ops4_n8_seed1535540215", 8, 8),
        ("ferry-l3-c2-s1440979552.pddl", 3 + 2, 3 * 2),
        ("spanner-s2-n1-l3-s25112936.pddl", 2 + 1 + 3, 2 * 1 * 3),
        ("delivery-s2-p3-seed1229433.pddl", 2 + 3, 2 * 3),
        ("delivery-s2-p3.pddl", 2 + 3, 2 * 3),
        ("/data/planning/ferry/ferry-l10-c1-s7.pddl", 10 + 1, 10),
    ],
)
def test_parameters_of_file_names_count_and_seeds_do_not(name, total, product):
    assert file_name_score(name, BY_NAME) == total
    assert file_name_score(name, PRODUCT) == product


def test_weights_and_pattern_take_the_place_of_the_defaults():
    name = "grippers-n1-r4-o3-s299249445.pddl"
    assert file_name_score(name, DifficultyRule(rule="file_name", weights={"o": 10.0, "n": 1.0})) == 31
    by_pattern = DifficultyRule(rule="file_name", pattern=r"^size(?P<rows>\d+)x(?P<columns>\d+)")
    assert file_name_score("size7x6-s3.pddl", by_pattern) == 13
    area = DifficultyRule(rule="file_name", pattern=by_pattern.pattern, combine="product")
    assert file_name_score("size7x6-s3.pddl", area) == 42
    powers = DifficultyRule(rule="file_name", combine="product", weights={"r": 2.0, "o": 1.0})
    assert file_name_score(name, powers) == 4**2 * 3


def test_every_name_of_the_public_problems_has_a_score(shared_data: Path):
    names = [path.name for path in shared_data.glob("pddl/*/problems/*.pddl")]
    assert len(names) == 749
    assert not any(math.isnan(file_name_score(name, BY_NAME)) for name in names)


def test_names_without_parameters_have_no_score():
    assert math.isnan(file_name_score("instance-255.pddl", BY_NAME))
    assert math.isnan(file_name_score("grippers-n1-r4.pddl", BY_NAME))
    assert math.isnan(file_name_score("other.pddl", DifficultyRule(rule="file_name", pattern=r"n(?P<n>\d+)")))


def test_field_rules_read_numbers_and_texts_with_a_number():
    assert difficulty_score(problem(difficulty=2.5), DifficultyRule()) == 2.5
    assert difficulty_score(problem(level="Level 3"), DifficultyRule(key="extra_info.level")) == 3
    assert difficulty_score(problem(meta={"rating": 1800}), DifficultyRule(key="extra_info.meta.rating")) == 1800
    assert difficulty_score(problem(text="four words are here"), DifficultyRule(rule="prompt_length")) == 19


def test_file_name_is_found_in_ground_truth_and_extra_info():
    truth = {"problem_file": "/a/ferry-l3-c2-s1.pddl"}
    assert difficulty_score(problem(ground_truth=truth), BY_NAME) == 5
    assert difficulty_score(problem(problem_file="b/ferry-l4-c2-s1.pddl"), BY_NAME) == 6
    assert difficulty_score(problem(file="x/ferry-l5-c2-s1"), DifficultyRule("file_name", key="extra_info.file")) == 7


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (DifficultyRule(), "no number at difficulty"),
        (DifficultyRule(key="extra_info.level"), r"no number at extra_info\.level \(found 'Level \?'\)"),
        (BY_NAME, r"no file name at ground_truth\.problem_file or"),
        (DifficultyRule("file_name", key="extra_info.level"), "no parameters in the file name 'Level"),
    ],
)
def test_missing_score_stops_the_run_or_counts_as_medium(rule, said):
    bare = problem(level="Level ?")
    with pytest.raises(ConfigError, match=f"problem p#0 of domain math has {said}") as caught:
        difficulty_score(bare, rule)
    assert "domains.math.difficulty" in str(caught.value)
    tolerant = DifficultyRule(rule.rule, key=rule.key, missing="medium")
    assert math.isnan(difficulty_score(bare, tolerant))


def sizes(buckets):
    return np.bincount(buckets, minlength=3).tolist()


def test_distinct_scores_are_cut_at_the_percentiles():
    scores = list(range(100))
    random.Random(0).shuffle(scores)
    buckets = sort_into_buckets(scores, (0.4, 0.8))
    assert sizes(buckets) == [40, 40, 20]
    assert [buckets[scores.index(score)] for score in (0, 39, 40, 79, 80, 99)] == [0, 0, 1, 1, 2, 2]


def test_equal_scores_share_a_bucket_and_buckets_follow_the_scores():
    generator = random.Random(1)
    for _ in range(200):
        scores = [generator.randint(1, generator.choice([2, 3, 5, 40])) for _ in range(generator.randint(1, 60))]
        buckets = sort_into_buckets(scores, (0.4, 0.8))
        pairs = sorted(zip(scores, buckets.tolist(), strict=True))
        assert pairs == sorted(pairs, key=lambda pair: pair[1])
        assert len(set(pairs)) == len(set(scores))
        if len(set(scores)) >= 3:
            assert min(sizes(buckets)) > 0


def test_few_distinct_scores_leave_the_hard_buckets_empty():
    assert sizes(sort_into_buckets([5.0] * 7, (0.4, 0.8))) == [7, 0, 0]
    assert sizes(sort_into_buckets([5.0, 6.0, 5.0], (0.4, 0.8))) == [2, 1, 0]
    assert sizes(sort_into_buckets([1, 2, 3], (0.4, 0.8))) == [1, 1, 1]


def test_unscored_problems_are_medium_and_do_not_move_the_cuts():
    scores = [float(i) for i in range(10)] + [math.nan] * 90
    buckets = sort_into_buckets(scores, (0.4, 0.8))
    assert sizes(buckets[:10]) == [4, 4, 2]
    assert set(buckets[10:].tolist()) == {1}
    assert sizes(sort_into_buckets([math.nan] * 3, (0.4, 0.8))) == [0, 3, 0]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (DifficultyRule("file_name", pattern="("), "not a regular expression"),
        (DifficultyRule("file_name", pattern=r"n(\d+)"), "no named group"),
        (DifficultyRule("file_name", pattern=r"n(?P<n>\d+)", weights={"m": 1.0}), "names 'm', which the pattern lacks"),
    ],
)
def test_rules_without_meaning_are_refused(rule, said):
    with pytest.raises(ConfigError, match=rf"domains\.math\.difficulty.*{said}"):
        RunConfig(domains={"math": Domain(difficulty=rule)})
