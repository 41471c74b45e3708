# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What is learned from solve rates, by hand."""

import json
from dataclasses import replace

import pytest

from grpo_jax.curriculum_config import AdaptiveConfig
from grpo_jax.data.adaptive import Outcome, SolveRates, outcomes_of
from tests.fakes.groups import make_group

ALL = AdaptiveConfig(buckets=True, problems=True, domain_weights=True, rest_after=2, rest_steps=10, memory=0.5)


def outcome(index=0, solved=2, judged=4, domain="math", bucket="easy"):
    return Outcome(domain, bucket, index, solved, judged)


def test_nothing_is_learned_by_default():
    rates = SolveRates(AdaptiveConfig())
    rates.record(0, [outcome(solved=0)])
    assert not rates.used
    assert rates.domain_factor("math") == rates.bucket_factor("math", "easy") == rates.problem_factor("math", 0) == 1.0
    assert rates.state() == {"domains": {}, "buckets": {}, "problems": {}}


@pytest.mark.parametrize(("solved", "factor"), [(0, 0.1), (1, 0.55), (2, 1.0), (3, 0.55), (4, 0.1)])
def test_worth_falls_evenly_from_the_target_to_the_floor(solved, factor):
    rates = SolveRates(ALL)
    rates.record(0, [outcome(solved=solved)])
    assert rates.domain_factor("math") == pytest.approx(factor)
    assert rates.bucket_factor("math", "easy") == pytest.approx(factor)
    assert rates.problem_factor("math", 0) == pytest.approx(factor)
    assert rates.bucket_factor("math", "hard") == rates.problem_factor("math", 1) == rates.domain_factor("code") == 1.0


def test_target_may_lie_elsewhere():
    rates = SolveRates(AdaptiveConfig(problems=True, target_solve_rate=0.75, floor=0.2))
    for index, solved in enumerate((0, 3, 4)):
        rates.record(0, [outcome(index, solved)])
    expected = [0.2, 1.0, 0.2 + 0.8 * (1 - 0.25 / 0.75)]
    assert [rates.problem_factor("math", index) for index in range(3)] == pytest.approx(expected)


def test_rates_are_recent_ones():
    rates = SolveRates(ALL)
    for solved in (4, 2, 0):
        rates.record(0, [outcome(solved=solved)])
    assert rates.metrics()["curriculum/math/solve_rate"] == pytest.approx(((1.0 + 0.5) / 2 + 0) / 2)


def test_problems_always_or_never_solved_rest_and_come_back():
    rates = SolveRates(ALL)
    for step, solved in ((3, 0), (5, 0)):
        assert not rates.rests("math", 0, step)
        rates.record(step, [outcome(0, solved), outcome(1, 4), outcome(2, 2)])
    assert [rates.rests("math", 0, step) for step in (6, 15, 16)] == [True, True, False]
    assert rates.rests("math", 1, 6)
    assert not rates.rests("math", 2, 6)
    assert rates.resting(6) == 2
    rates.record(16, [outcome(0, 0)])  # as before: back to rest after one visit
    assert rates.rests("math", 0, 17)
    rates.record(30, [outcome(0, 1)])  # a success: awake until it is twice alike again
    assert not rates.rests("math", 0, 31)
    rates.record(31, [outcome(0, 0)])
    assert not rates.rests("math", 0, 32)


def test_changing_between_all_and_none_solved_is_no_reason_to_rest():
    rates = SolveRates(ALL)
    for step, solved in enumerate((0, 4, 0, 4)):
        rates.record(step, [outcome(0, solved)])
    assert not rates.rests("math", 0, 4)


def test_state_survives_json():
    rates = SolveRates(ALL)
    for step in range(6):
        rates.record(step, [outcome(step % 3, step % 5, domain=("math", "code")[step % 2])])
    again = SolveRates(ALL)
    again.restore(json.loads(json.dumps(rates.state())))
    assert again.state() == rates.state()
    for one in (rates, again):
        one.record(6, [outcome(1, 0)])
    assert again.state() == rates.state()


def test_outcomes_count_judged_completions_of_drawn_problems():
    group = make_group([1], [[2]] * 4, [1.0, 0.0, None, 2.0])
    drawn = replace(group, prompt=replace(group.prompt, bucket="hard", index=7))
    failed = make_group([1], [[2]], [None])
    assert outcomes_of([drawn, group, failed]) == [Outcome("plain", "hard", 7, 2, 3)]
