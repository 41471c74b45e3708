# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from grpo_jax.config import RewardsConfig
from grpo_jax.training.invalid_watch import WINDOW_STEPS, InvalidWatch, TooManyInvalidError
from tests.fakes.groups import make_group


def step_with(invalid: int, of: int = 100):
    """Groups of ten completions, so many of them invalid."""
    totals = [None] * invalid + [1.0] * (of - invalid)
    return [make_group([1], [[2]] * 10, totals[at : at + 10], problem_id=f"problem-{at}") for at in range(0, of, 10)]


def test_a_step_above_its_limit_stops_the_run_with_examples():
    watch = InvalidWatch(RewardsConfig())
    watch.check(1, step_with(20))
    with pytest.raises(TooManyInvalidError, match=r"(?s)step 2 .*21\.0%.*max_invalid_step=0\.2") as caught:
        watch.check(2, step_with(21))
    assert "21 x the checker is out of order" in str(caught.value)
    assert "problem problem-0 of plain" in str(caught.value)


def test_the_mean_counts_once_twenty_steps_are_there():
    watch = InvalidWatch(RewardsConfig())
    for step in range(1, WINDOW_STEPS):
        watch.check(step, step_with(3))
    with pytest.raises(TooManyInvalidError, match=r"20 steps up to 20 .*3\.0%.*max_invalid_mean=0\.02"):
        watch.check(WINDOW_STEPS, step_with(3))


def test_what_is_at_the_limits_goes_on():
    watch = InvalidWatch(RewardsConfig())
    for step in range(1, 3 * WINDOW_STEPS):
        watch.check(step, step_with(2))
    watch = InvalidWatch(RewardsConfig(max_invalid_step=1.0, max_invalid_mean=1.0))
    for step in range(1, 2 * WINDOW_STEPS):
        watch.check(step, step_with(100))


def test_a_resumed_run_stops_where_an_unbroken_one_does():
    watch = InvalidWatch(RewardsConfig())
    for step in range(1, 15):
        watch.check(step, step_with(4))
    resumed = InvalidWatch(RewardsConfig())
    resumed.restore(json.loads(json.dumps(watch.state())))
    for step in range(15, 20):
        resumed.check(step, step_with(1))
    with pytest.raises(TooManyInvalidError, match=r"(?s)up to 20 .*out of order"):
        resumed.check(20, step_with(0))


def test_the_commonest_reasons_come_first():
    watch = InvalidWatch(RewardsConfig())
    groups = step_with(30)
    with pytest.raises(TooManyInvalidError) as caught:
        watch.check(1, groups)
    assert str(caught.value).count("\n") == 2  # one reason, one example
