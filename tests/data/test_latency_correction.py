# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The mix under rollouts of very different duration."""

import heapq
import json
from collections import Counter

import pytest

from grpo_jax.data.latency_correction import LatencyCorrection

TARGETS = {"short": 0.5, "long": 0.5}


def test_factors_by_hand():
    correction = LatencyCorrection({"a": 3, "b": 1})
    assert correction.factor("a") == correction.factor("b") == 1.0
    correction.submit("a", 2)
    correction.submit("b", 2)
    correction.finish("a")
    assert correction.factor("a") == pytest.approx(0.75 / 0.5)
    assert correction.factor("b") == pytest.approx(0.25 / 0.5)
    assert correction.weights() == pytest.approx({"a": 0.9, "b": 0.1})


def test_what_is_in_flight_counts_like_what_is_finished():
    started, arrived = LatencyCorrection(TARGETS), LatencyCorrection(TARGETS)
    for correction in (started, arrived):
        correction.submit("long", 3)
        correction.submit("short", 5)
    arrived.finish("short", 5)
    assert started.weights() == arrived.weights()


def test_factors_are_clamped():
    correction = LatencyCorrection({"rare": 0.001, "common": 0.999})
    correction.submit("rare", 100)
    assert correction.factor("rare") == 0.1
    assert correction.factor("common") == 10.0
    correction.submit("common")
    assert correction.factor("common") == 10.0


def test_more_cannot_finish_than_was_started():
    correction = LatencyCorrection(TARGETS)
    correction.submit("short")
    with pytest.raises(ValueError, match="2 rollouts of short finish, 1 are in flight"):
        correction.finish("short", 2)


def test_finished_counts_survive_json_and_lost_rollouts_are_forgotten():
    correction = LatencyCorrection(TARGETS)
    correction.submit("short", 4)
    correction.finish("short", 3)
    again = LatencyCorrection(TARGETS)
    again.restore(json.loads(json.dumps(correction.state())))
    again.submit("long", 3)
    assert again.factor("long") == again.factor("short") == 1.0


def test_slow_domains_keep_their_share_in_a_simulated_pipeline():
    """A hundred rollouts in flight, one domain ten times slower: submissions stay on target."""
    correction = LatencyCorrection(TARGETS)
    seconds = {"short": 1.0, "long": 10.0}
    flying: list[tuple[float, str]] = []
    submitted: Counter[str] = Counter()
    now = 0.0
    for _ in range(4000):
        if len(flying) == 100:
            now, name = heapq.heappop(flying)
            correction.finish(name)
        weights = correction.weights()
        name = max(weights, key=lambda name: (weights[name], name))
        correction.submit(name)
        submitted[name] += 1
        heapq.heappush(flying, (now + seconds[name], name))
    assert abs(submitted["long"] / 4000 - 0.5) < 0.01
