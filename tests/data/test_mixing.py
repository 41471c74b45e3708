# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Quotas of domains: exact in each batch and over time."""

import random
from fractions import Fraction
from math import ceil, floor

import pytest

from grpo_jax.data.mixing import Quotas, domain_counts
from grpo_jax.records import ConfigError

FOUR = {"math": 0.35, "code": 0.30, "science": 0.20, "logic": 0.15}


def assert_exact(weights, prompts_per_step, num_steps):
    """Check both bounds at every step, in exact arithmetic."""
    total = sum(Fraction(repr(weight)) for weight in weights.values())
    shares = {name: Fraction(repr(weight)) * prompts_per_step / total for name, weight in weights.items()}
    drawn = dict.fromkeys(weights, 0)
    for step in range(num_steps):
        counts = domain_counts(weights, prompts_per_step, step)
        assert sum(counts.values()) == prompts_per_step
        for name, share in shares.items():
            assert floor(share) <= counts[name] <= ceil(share)
            drawn[name] += counts[name]
            assert abs(drawn[name] - share * (step + 1)) < 1


def test_each_batch_and_each_running_total_is_exact():
    assert_exact(FOUR, 7, 1000)


def test_random_mixes_are_exact():
    generator = random.Random(0)
    for _ in range(60):
        digits = generator.choice([1, 2, 4, 16])
        weights = {str(i): max(round(generator.random(), digits), 0.1) for i in range(generator.randint(1, 9))}
        assert_exact(weights, generator.randint(1, 20), 100)


def test_counts_do_not_depend_on_the_steps_asked_before():
    forward = Quotas(FOUR, 7)
    expected = [forward.counts(step) for step in range(200)]
    backward = Quotas(FOUR, 7)
    assert [backward.counts(step) for step in reversed(range(200))] == expected[::-1]
    assert Quotas(FOUR, 7).counts(123) == expected[123]


def test_cumulative_is_the_sum_of_counts():
    quotas = Quotas({"a": 1.0, "b": 2.0, "c": 4.0}, 8)
    drawn = dict.fromkeys("abc", 0)
    for step in range(50):
        assert quotas.cumulative(step) == drawn
        for name, count in quotas.counts(step).items():
            drawn[name] += count


def test_late_steps_of_a_short_period_need_no_replay():
    quotas = Quotas(FOUR, 7)
    assert quotas.cumulative(20 * 10**12) == {"math": 49 * 10**12, "code": 42 * 10**12, "science": 28 * 10**12,
                                              "logic": 21 * 10**12}  # fmt: skip


def test_equal_weights_give_equal_counts_where_they_divide():
    assert domain_counts(dict.fromkeys("abcde", 1.0), 10, 17) == dict.fromkeys("abcde", 2)


def test_weights_without_meaning_are_refused():
    with pytest.raises(ConfigError, match="domains is empty"):
        Quotas({}, 4)
    with pytest.raises(ConfigError, match=r"domains\.a\.weight=0\.0"):
        Quotas({"a": 0.0}, 4)
    with pytest.raises(ConfigError, match="prompts_per_step=0"):
        Quotas({"a": 1.0}, 0)
