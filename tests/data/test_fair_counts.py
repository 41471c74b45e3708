# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Counts of parts under constant and changing shares, checked in exact arithmetic."""

import random
from fractions import Fraction
from math import ceil, floor, lcm

import pytest

from grpo_jax.data.fair_counts import FairCounts, counts_without_foresight

WEIGHTS = [0, 1, 1, 2, 3, 5, 7]


def normalised(weights, places):
    total = sum(weights)
    return [Fraction(weight) * places / total for weight in weights]


def constant(generator):
    digits = generator.choice([1, 2, 4])
    weights = [Fraction(str(max(round(generator.random(), digits), 0.1))) for _ in range(generator.randint(1, 9))]
    return [normalised(weights, generator.randint(1, 20))] * 80


def spans(generator):
    num_parts, places = generator.randint(2, 6), generator.randint(1, 12)
    rows = []
    for _ in range(generator.randint(2, 6)):
        weights = [generator.choice(WEIGHTS) for _ in range(num_parts)]
        weights[0] += not any(weights)
        rows += [normalised(weights, places)] * generator.randint(1, 25)
    return rows


def annealed(generator):
    num_parts, places, steps = generator.randint(2, 6), generator.randint(1, 12), generator.randint(5, 60)
    ends = []
    for _ in range(2):
        weights = [generator.choice(WEIGHTS) for _ in range(num_parts)]
        weights[0] += not any(weights)
        ends.append(normalised(weights, places))
    moving = (min(Fraction(step, steps), 1) for step in range(steps + 20))
    return [[a * (1 - p) + b * p for a, b in zip(*ends, strict=True)] for p in moving]


def changing_places(generator):
    weights = [Fraction(generator.randint(1, 7)) for _ in range(3)]
    return [normalised(weights, generator.choice([0, 1, 2, 2, 3])) for _ in range(80)]


def without_order(generator):
    """Shares that change wildly at every step."""
    num_parts, parts_of_one = generator.randint(3, 5), generator.choice([2, 3, 4, 6])
    rows = []
    while len(rows) < 14:
        row = [Fraction(generator.choice([0, 0, *range(1, parts_of_one + 1)]), parts_of_one) for _ in range(num_parts)]
        if sum(row).denominator == 1:
            rows.append(row)
    return rows


def scheduler(rows, lags=None, first=0):
    unit = lcm(*(share.denominator for row in rows for share in row))
    units = [[int(share * unit) for share in row] for row in rows]
    return FairCounts(lambda step: units[min(step, len(units) - 1)], unit, lags or [0] * len(rows[0]), first)


def check(rows, first_bound=True):
    """Check both bounds at every step; returns how often a batch had one above the ceiling of its share."""
    fair = scheduler(rows)
    running = [Fraction(0)] * len(rows[0])
    above = 0
    for step, row in enumerate(rows):
        counts = fair.counts(step)
        assert sum(counts) == sum(row)
        for i, share in enumerate(row):
            assert floor(share) <= counts[i] <= (ceil(share) if first_bound else floor(share) + 1)
            above += counts[i] > ceil(share)
            running[i] += counts[i] - share
            assert abs(running[i]) < 1
    return above


def test_constant_shares_keep_both_bounds():
    generator = random.Random(0)
    for _ in range(40):
        check(constant(generator))


@pytest.mark.parametrize("rows_of", [spans, annealed, changing_places, without_order])
def test_changing_shares_never_drift_and_rarely_exceed_a_whole_share(rows_of):
    generator = random.Random(1)
    drawn = [rows_of(generator) for _ in range(30)]
    above = sum(check(rows, first_bound=False) for rows in drawn)
    limit = 0.01 if rows_of is without_order else 0.001
    assert above <= limit * sum(len(rows) for rows in drawn)


def test_going_on_from_saved_lags_gives_the_same_counts():
    rows = spans(random.Random(4))
    unbroken = scheduler(rows)
    expected = [unbroken.counts(step) for step in range(len(rows))]
    for step in range(0, len(rows), 7):
        resumed = scheduler(rows, unbroken.lags(step), step)
        assert [resumed.counts(later) for later in range(step, len(rows))] == expected[step:]


def test_forgetting_past_steps_changes_nothing():
    rows = [normalised([3, 4, 7], 5)] * 1000
    kept, forgetful = scheduler(rows), scheduler(rows)
    for step in range(1000):
        assert forgetful.counts(step) == kept.counts(step)
        forgetful.forget(step + 1)


def test_without_foresight_batches_stay_at_floor_or_ceiling_and_totals_near():
    generator = random.Random(2)
    unit, lags, running = 60, (0,) * 4, [0] * 4
    for _ in range(500):
        weights = [generator.randint(1, 6) for _ in range(4)]
        shares = [unit * 7 * weight // sum(weights) for weight in weights]
        shares[0] += unit * 7 - sum(shares)
        counts, lags = counts_without_foresight(shares, unit, lags)
        assert sum(counts) == 7
        for i, share in enumerate(shares):
            assert share // unit <= counts[i] <= -(-share // unit)
            running[i] += share - counts[i] * unit
        assert list(lags) == running
        assert max(map(abs, lags)) < 2 * unit
