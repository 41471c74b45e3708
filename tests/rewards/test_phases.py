# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import json
import logging
from dataclasses import replace

import pytest

from grpo_jax.config import CurriculumConfig, Domain, RewardPhase, RewardsConfig, RunConfig
from grpo_jax.records import ConfigError
from grpo_jax.rewards.phases import PhaseTracker, phase_of_step

DOMAINS = {"math": Domain(rewards={"math": 1.0, "answer_given": 0.5})}
THREE = (RewardPhase("bootstrap", {"answer_given": 1.0}), RewardPhase("correctness"), RewardPhase("polish"))
ANSWERED = "reward/math/answer_given"
BY_METRIC = (
    RewardPhase("bootstrap", {"answer_given": 1.0}),
    RewardPhase("correctness", metric=ANSWERED, above=0.9, for_steps=3),
)


def course(tracker: PhaseTracker, values: list[float | None], first: int = 1) -> list[int | None]:
    """The phase of each step, where the steps report these values."""
    phases = []
    for step, value in enumerate(values, start=first):
        phases.append(tracker.begin(step))
        tracker.observe(step, {"reward/mean": 0.0} if value is None else {ANSWERED: value})
    return phases


@pytest.mark.parametrize(("total", "starts"), [(100, [1, 26, 76]), (8, [1, 3, 7]), (7, [1, 3, 7]), (2, [1, 2])])
def test_three_phases_begin_at_0_25_and_75_percent_of_the_steps_done(total: int, starts: list[int]):
    phases = course(PhaseTracker(THREE, DOMAINS, total), [None] * total)
    assert phases == sorted(phases)  # forward only
    assert [phases.index(phase) + 1 for phase in dict.fromkeys(phases)] == starts


def test_a_step_follows_progress_exactly_where_floats_do_not():
    phases = (RewardPhase(), RewardPhase(from_progress=0.07))
    assert course(PhaseTracker(phases, DOMAINS, 100), [None] * 9) == [0] * 7 + [1] * 2


def test_a_metric_must_stay_above_its_threshold():
    values = [0.95, 0.95, 0.9, 0.95, None, 0.95, 0.99, 0.1, 0.1]
    assert course(PhaseTracker(BY_METRIC, DOMAINS, 100), values) == [0] * 7 + [1] * 2


def test_progress_begins_a_phase_that_waits_for_a_metric_in_vain():
    phases = (BY_METRIC[0], replace(BY_METRIC[1], from_progress=0.5))
    assert course(PhaseTracker(phases, DOMAINS, 8), [0.0] * 6) == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_resumed_run_goes_the_course_of_an_unbroken_one(stop: int):
    phases = (*BY_METRIC, RewardPhase("polish", metric=ANSWERED, above=0.5, for_steps=2))
    values = [0.95, 0.8, 0.95, 0.95, 0.95, 0.95, 0.4, 0.6, 0.6, 0.6]
    unbroken = course(PhaseTracker(phases, DOMAINS, 20), [*values])
    first, second = PhaseTracker(phases, DOMAINS, 20), PhaseTracker(phases, DOMAINS, 20)
    before = course(first, values[:stop])
    second.restore(json.loads(json.dumps(first.state())))
    assert before + course(second, values[stop:], first=stop + 1) == unbroken


def test_a_metric_that_no_step_reports_is_named_with_its_neighbours():
    tracker = PhaseTracker((BY_METRIC[0], replace(BY_METRIC[1], metric="reward/math/answer_givn")), DOMAINS, 100)
    with pytest.raises(ConfigError, match=f"did you mean {ANSWERED}"):
        course(tracker, [0.5] * 3)


def test_each_change_is_logged_and_sets_the_domains_weights(caplog: pytest.LogCaptureFixture):
    tracker = PhaseTracker(THREE, DOMAINS, 4)
    assert tracker.domains["math"].rewards == {"answer_given": 0.5}
    with caplog.at_level(logging.INFO):
        course(tracker, [None] * 4)
    assert ["1 (correctness)" in caplog.messages[0], "2 (polish)" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2
    assert tracker.domains == DOMAINS


def test_without_phases_there_is_none():
    tracker = PhaseTracker((), DOMAINS, 3)
    assert course(tracker, [None] * 3) == [None] * 3
    assert tracker.domains == DOMAINS
    assert phase_of_step((), 2, 3) is None


def test_the_phase_of_a_step_is_the_one_of_the_run():
    assert [phase_of_step(THREE, step, 8) for step in range(1, 9)] == [0, 0, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("phases", "step", "total", "message"),
    [
        (THREE, 9, 8, "training.max_steps=8"),
        (THREE, 1, None, "training.max_steps"),
        (BY_METRIC, 1, 8, "begins by the metric"),
    ],
)
def test_a_step_without_a_knowable_phase_is_refused(phases, step, total, message):
    with pytest.raises(ConfigError, match=message):
        phase_of_step(phases, step, total)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ((RewardPhase(), RewardPhase()), r"phases\[1\] does not say when it begins"),
        ((RewardPhase(from_progress=0.5), RewardPhase(from_progress=0.6)), r"phases\[0\] is the first"),
        ((RewardPhase(), RewardPhase(from_progress=0.0)), "above 0.0 and below 1"),
        ((RewardPhase(), RewardPhase(from_progress=0.5), RewardPhase(from_progress=0.4)), "above 0.5"),
        ((RewardPhase(), RewardPhase(metric="reward/mean", for_steps=0)), "for_steps above 0"),
        ((RewardPhase(parts={"maths": 1.0}),), "names 'maths', a reward of no domain"),
        ((RewardPhase(parts={"math": 0.0}),), "leaves domain 'math' without a reward"),
        ((RewardPhase(parts={"math": float("nan")}),), "must be finite"),
    ],
)
def test_phases_that_make_no_sense_are_refused(phases, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(domains=DOMAINS, curriculum=CurriculumConfig(phases=phases))


def test_settings_of_rewards_that_are_not_used_are_refused():
    with pytest.raises(ConfigError, match=r"rewards\.settings names 'answer'"):
        RunConfig(domains=DOMAINS, rewards=RewardsConfig(settings={"answer": {"exact": 1.0}}))
    own = {"math": Domain(rewards={"math": 1.0}, reward_settings={"answer": {"exact": 1.0}})}
    with pytest.raises(ConfigError, match=r"domains\.math\.reward_settings names 'answer'"):
        RunConfig(domains=own)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": 0}, "rewards.workers=0"),
        ({"timeout_seconds": 0.0}, "rewards.timeout_seconds"),
        ({"cpu_seconds": -1.0}, "rewards.cpu_seconds"),
        ({"max_invalid_step": 1.5}, "rewards.max_invalid_step"),
        ({"sandbox": "none"}, "run_unconfined_code=true"),
    ],
)
def test_reward_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(rewards=RewardsConfig(**settings))
