# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""pass@k and maj@k against every subset counted one by one; intervals against what they promise."""

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.evaluation.estimators import bootstrap_interval, majority_at_k, pass_at_k, samples_to_report

SILENT, RIGHT = "silent", "right"


def majority_by_subsets(samples, k):
    """Mean over all k-subsets of the chance that the most frequent answer, ties drawn evenly, is right."""
    won = 0.0
    for subset in combinations(samples, k):
        votes = Counter(answer for answer in subset if answer != SILENT)
        top = max(votes.values(), default=0)
        winners = [answer for answer, count in votes.items() if count == top]
        won += (RIGHT in winners) / len(winners) if winners else 0.0
    return won / comb(len(samples), k)


@st.composite
def tables(draw):
    votes = draw(st.lists(st.integers(0, 3), max_size=4))
    right, silent = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    total = sum(votes) + right + silent
    return votes, right, silent, draw(st.integers(1, max(total, 1)))


@given(tables())
def test_maj_at_k_counts_every_subset(table):
    votes, right, silent, k = table
    samples = [RIGHT] * right + [SILENT] * silent + [f"wrong{n}" for n, count in enumerate(votes) for _ in range(count)]
    if not samples:
        with pytest.raises(ValueError, match="does not exist"):
            majority_at_k(votes, right, silent, k)
        return
    assert majority_at_k(votes, right, silent, k) == pytest.approx(majority_by_subsets(samples, k), abs=1e-12)


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_counts_every_subset(case):
    n, passed, k = case
    samples = [True] * passed + [False] * (n - passed)
    subsets = [any(subset) for subset in combinations(samples, k)]
    assert pass_at_k(n, passed, k) == pytest.approx(np.mean(subsets), abs=1e-12)


def test_pass_at_k_of_many_samples_keeps_its_precision():
    expected = 1.0 - np.prod(1.0 - 100 / np.arange(1000 - 3 + 1, 1001))
    assert pass_at_k(1000, 3, 100) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("case", [(4, 5, 1), (4, 1, 5), (4, 1, 0), (4, -1, 1)])
def test_what_does_not_exist_is_refused(case):
    with pytest.raises(ValueError, match="does not exist"):
        pass_at_k(*case)


def test_a_single_sample_is_its_own_majority():
    assert majority_at_k([2, 1], 3, 2, 1) == pytest.approx(3 / 8)


def test_intervals_hold_the_mean_at_their_confidence():
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        values = generator.binomial(1, 0.3, size=100).astype(float)
        low, high = bootstrap_interval(values, seed=seed)
        assert low <= values.mean() <= high
        held += low <= 0.3 <= high
    assert 180 <= held <= 200


def test_intervals_repeat_narrow_with_problems_and_vanish_without_spread():
    few, many = np.tile([0.0, 1.0], 10), np.tile([0.0, 1.0], 1000)
    assert bootstrap_interval(few) == bootstrap_interval(few)
    widths = [high - low for low, high in map(bootstrap_interval, (few, many))]
    assert widths[0] / widths[1] == pytest.approx(10, rel=0.2)
    assert bootstrap_interval(np.ones(5)) == (1.0, 1.0)
    with pytest.raises(ValueError, match="no value"):
        bootstrap_interval(np.array([]))


@pytest.mark.parametrize(("n", "expected"), [(1, (1,)), (4, (1, 2, 4)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))])
def test_reported_k_are_powers_of_two_and_the_whole(n, expected):
    assert samples_to_report(n) == expected
