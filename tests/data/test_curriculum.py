# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Bucket weights and temperatures by progress."""

from fractions import Fraction

import pytest

from grpo_jax.config import CurriculumConfig, DataConfig, Domain, RunConfig
from grpo_jax.curriculum_config import AdaptiveConfig, BucketSpan, DifficultyConfig, TemperaturePoint
from grpo_jax.data.curriculum import bucket_mix, replaced_buckets, sampling_temperature
from grpo_jax.records import ConfigError

TWO = (BucketSpan(0.5, (1.0, 0.0, 0.0)), BucketSpan(1.0, (0.0, 0.0, 1.0)))


def floats(mix):
    return tuple(map(float, mix))


def test_default_schedule_changes_at_30_and_70_percent():
    course = bucket_mix(DifficultyConfig(), None, 1000, learned=False)
    assert floats(course.at(0)) == floats(course.at(299)) == (0.7, 0.25, 0.05)
    assert floats(course.at(300)) == floats(course.at(699)) == (0.4, 0.4, 0.2)
    assert floats(course.at(700)) == floats(course.at(999)) == floats(course.at(5000)) == (0.2, 0.4, 0.4)


def test_domain_schedule_takes_the_place_of_the_default():
    course = bucket_mix(DifficultyConfig(), TWO, 10, learned=False)
    assert [course.at(step)[0] for step in (4, 5)] == [1, 0]


def test_linear_interpolation_arrives_at_each_span_where_it_begins():
    course = bucket_mix(DifficultyConfig(interpolation="linear"), TWO, 20, learned=False)
    assert [course.at(step)[2] for step in (0, 1, 5, 9, 10, 20)] == [
        0,
        Fraction(1, 10),
        Fraction(1, 2),
        Fraction(9, 10),
        1,
        1,
    ]
    assert all(sum(course.at(step)) == 1 for step in range(25))
    for step in range(25):
        assert sum(course.shares(step, 3)) == 3 * course.unit


def test_empty_buckets_are_replaced_by_the_nearest():
    assert replaced_buckets((4, 4, 2)) == (0, 1, 2)
    assert replaced_buckets((4, 4, 0)) == (0, 1, 1)
    assert replaced_buckets((4, 0, 2)) == (0, 0, 2)
    assert replaced_buckets((0, 0, 2)) == (2, 2, 2)
    assert replaced_buckets((0, 3, 0)) == (1, 1, 1)


def test_temperature_follows_bucket_and_progress():
    settings = DifficultyConfig(
        temperature_by_bucket={"hard": 1.2},
        temperature_by_progress=(TemperaturePoint(0.2, 1.0), TemperaturePoint(0.6, 0.5)),
    )
    assert sampling_temperature(settings, "hard", 0.8, 0.0) == pytest.approx(1.2)
    assert sampling_temperature(settings, "easy", 0.8, 0.2) == pytest.approx(0.8)
    assert sampling_temperature(settings, None, 0.8, 0.4) == pytest.approx(0.8 * 0.75)
    assert sampling_temperature(settings, "hard", 0.8, 0.9) == pytest.approx(0.6)
    assert sampling_temperature(DifficultyConfig(), "hard", 0.8, 0.9) == 0.8


@pytest.mark.parametrize(
    ("difficulty", "said"),
    [
        (DifficultyConfig(percentiles=(0.8, 0.4)), "percentiles"),
        (DifficultyConfig(percentiles=(0.4,)), "percentiles"),
        (DifficultyConfig(schedule=()), "schedule must end with a span until 1"),
        (DifficultyConfig(schedule=(BucketSpan(0.5),)), "schedule must end with a span until 1"),
        (DifficultyConfig(schedule=(BucketSpan(1.0), BucketSpan(1.0))), "ascend in until"),
        (DifficultyConfig(schedule=(BucketSpan(1.0, (1.0, 1.0)),)), "needs three"),
        (DifficultyConfig(schedule=(BucketSpan(1.0, (1.0, -1.0, 1.0)),)), "none below 0"),
        (DifficultyConfig(schedule=(BucketSpan(1.0, (0.0, 0.0, 0.0)),)), "not all 0"),
        (DifficultyConfig(temperature_by_bucket={"soft": 1.0}), "names 'soft'"),
        (DifficultyConfig(temperature_by_bucket={"hard": 0.0}), r"temperature_by_bucket\.hard=0\.0"),
        (DifficultyConfig(temperature_by_progress=(TemperaturePoint(0.0, 0.0),)), "not above 0"),
        (DifficultyConfig(temperature_by_progress=(TemperaturePoint(0.5), TemperaturePoint(0.5))), "ascend"),
    ],
)
def test_curriculum_without_meaning_is_refused(difficulty, said):
    with pytest.raises(ConfigError, match=f"curriculum.difficulty.*{said}"):
        RunConfig(curriculum=CurriculumConfig(difficulty=difficulty))


@pytest.mark.parametrize("name", ["target_solve_rate", "floor", "memory", "rest_after", "rest_steps"])
def test_adaptive_value_out_of_range_is_named(name):
    with pytest.raises(ConfigError, match=rf"curriculum\.adaptive\.{name}=-1"):
        RunConfig(curriculum=CurriculumConfig(adaptive=AdaptiveConfig(**{name: -1})))


def test_domain_schedule_is_checked_too():
    with pytest.raises(ConfigError, match=r"domains\.math\.schedule must end"):
        RunConfig(domains={"math": Domain(schedule=())})
    with pytest.raises(ConfigError, match=r"domains\.math\.schedule needs domains\.math\.difficulty"):
        RunConfig(domains={"math": Domain(schedule=TWO)})


def test_learned_domain_weights_need_weights():
    learned = CurriculumConfig(adaptive=AdaptiveConfig(domain_weights=True))
    RunConfig(curriculum=learned, data=DataConfig(mixing="balanced"))
    with pytest.raises(ConfigError, match=r"domain_weights=true has no weights to change in mixing=concat"):
        RunConfig(curriculum=learned, data=DataConfig(mixing="concat"))
