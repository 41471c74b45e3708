# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Warnings on made-up histories: each says its piece at the right step, once, and never on a healthy run."""

import math
import random
from dataclasses import replace

import pytest

from grpo_jax.logging_config import WarningsConfig
from grpo_jax.tracking.run_warnings import RunWarnings

SETTINGS = WarningsConfig()
STEPS = 400


def healthy(step):
    """A run that learns: noisy reward that rises, entropy that falls by half, some truncation, few invalid."""
    noise = random.Random(step)
    progress = step / STEPS
    return {
        "step": step,
        "reward/mean": 0.2 + 0.6 * progress + noise.uniform(-0.05, 0.05),
        "reward_status/math/pass": 0.2 + 0.6 * progress,
        "reward_status/math/invalid": 0.0 if step % 50 else 0.02,
        "kl/mean": 0.05 * progress + noise.uniform(0, 0.01),
        "objective/zero_variance_groups": 1.0 if step % 9 == 0 else noise.uniform(0.1, 0.8),
        "objective/entropy": 1.2 - 0.7 * progress,
        "length/math/truncated": 0.9 if step % 10 == 0 else 0.1,
        "mismatch/logprob_abs_mean": 0.002 + 0.001 * noise.random(),
    }


def history(change=lambda step: {}, steps=STEPS):
    return [{**healthy(step), **change(step)} for step in range(1, steps + 1)]


def said(rows, settings=SETTINGS):
    return [(warning.cause, warning.step) for warning in RunWarnings(settings, rows).said]


def test_healthy_run_is_left_alone():
    assert said(history()) == []


@pytest.mark.parametrize("seed", range(5))
def test_slow_and_noisy_but_rising_run_is_left_alone(seed):
    """From 0.2 to 0.8 over 2,000 steps, of which two hundred show little."""
    noise = random.Random(seed)
    assert said([{"step": s, "reward/mean": 0.2 + 0.6 * s / 2000 + noise.gauss(0, 0.04)} for s in range(1, 2001)]) == []


def test_noise_does_not_hide_that_nothing_moves():
    noise = random.Random(1)
    rows = [{"step": step, "reward/mean": 0.4 + noise.gauss(0, 0.03)} for step in range(1, 501)]
    assert [cause for cause, _ in said(rows)][:1] == ["flat_reward"]


def test_mastered_run_is_left_alone():
    assert said(history(lambda step: {"reward/mean": 1.0, "reward_status/math/pass": 0.98})) == []


@pytest.mark.parametrize(
    ("cause", "change", "step"),
    [
        # 200 values at 0.3: the first full window.
        ("flat_reward", lambda step: {"reward/mean": 0.3}, 200),
        # From step 50 on at 1.0: above 0.5 in the mean of five once three of them are.
        ("high_kl", lambda step: {"kl/mean": 1.0} if step >= 50 else {"kl/mean": 0.0}, 52),
        ("no_variance", lambda step: {"objective/zero_variance_groups": 1.0 if step >= 50 else 0.5}, 52),
        ("truncated/math", lambda step: {"length/math/truncated": 1.0 if step >= 50 else 0.0}, 52),
        # One in five of a step: the mean of 20 is at 1 % there and then, and above it with the next.
        ("verifier_failures/math", lambda step: {"reward_status/math/invalid": 0.2 if step >= 50 else 0.0}, 51),
        # Ten values: 1 for the first of them, 0 for those from step 50 on; below 0.1 when none is 1 any more.
        ("entropy_collapse", lambda step: {"objective/entropy": 0.0 if step >= 50 else 1.0}, 59),
        # 0.01 before, 0.1 from step 50 on: the mean of ten is above 0.03 with the third (0.037).
        ("growing_mismatch", lambda step: {"mismatch/logprob_abs_mean": 0.1 if step >= 50 else 0.01}, 52),
    ],
)
def test_each_is_said_once_at_its_step(cause, change, step):
    assert said(history(change)) == [(cause, step)]


def test_every_warning_says_what_to_try_and_where_in_one_line():
    everything = {
        "reward/mean": 0.3,
        "kl/mean": 2.0,
        "objective/zero_variance_groups": 1.0,
        "length/math/truncated": 1.0,
        "reward_status/math/invalid": 0.5,
    }

    def change(step):
        worse = {"objective/entropy": 0.01, "mismatch/logprob_abs_mean": 1.0}
        return {**everything, **(worse if step > 50 else {})}

    found = RunWarnings(SETTINGS, history(change)).said
    assert len({warning.cause for warning in found}) == 7
    for warning in found:
        assert "try " in warning.text
        assert "\n" not in warning.text


def test_it_is_said_again_only_after_recovery():
    def truncation(bad):
        return lambda step: {"length/math/truncated": 1.0 if bad(step) else 0.0}

    # 15 clean steps are no recovery (20 are), 60 are one; the mean of five lags two steps behind on either side.
    assert said(history(truncation(lambda step: step in range(50, 60) or step in range(75, 85)))) == [
        ("truncated/math", 52)
    ]
    assert said(history(truncation(lambda step: step in range(50, 60) or step in range(120, 130)))) == [
        ("truncated/math", 52),
        ("truncated/math", 122),
    ]


def test_cause_that_lasts_is_said_once_however_long():
    causes = [cause for cause, _ in said(history(lambda step: {"kl/mean": 5.0}, steps=2000))]
    assert causes.count("high_kl") == 1


def test_domains_warn_apart():
    def change(step):
        return {"length/math/truncated": 1.0, "length/code/truncated": 1.0 if step > 100 else 0.0}

    assert [cause for cause, _ in said(history(change))] == ["truncated/math", "truncated/code"]


@pytest.mark.parametrize("cut", [1, 51, 52, 53, 70, 399])
def test_resumed_run_says_what_an_unbroken_one_would(cut):
    rows = history(lambda step: {"kl/mean": 1.0 if step in range(50, 60) or step > 120 else 0.0})
    resumed = RunWarnings(SETTINGS, rows[:cut])
    later = [warning for row in rows[cut:] for warning in resumed.observe(row["step"], row)]
    assert [(warning.cause, warning.step) for warning in later] == [each for each in said(rows) if each[1] > cut]


@pytest.mark.parametrize(
    "off",
    [
        {"enabled": False},
        {
            "flat_reward_steps": 0,
            "max_kl": 0.0,
            "zero_variance_steps": 0,
            "truncated_share": 1.0,
            "verifier_failures": 1.0,
            "entropy_fraction": 0.0,
            "mismatch_growth": 0.0,
        },
    ],
)
def test_each_can_be_turned_off(off):
    bad = {
        "reward/mean": 0.3,
        "kl/mean": 9.0,
        "objective/zero_variance_groups": 1.0,
        "length/math/truncated": 1.0,
        "reward_status/math/invalid": 1.0,
    }
    rows = history(lambda step: {**bad, "objective/entropy": math.exp(-step), "mismatch/logprob_abs_mean": 0.1 * step})
    assert len(said(rows)) >= 7
    assert said(rows, replace(SETTINGS, **off)) == []


def test_steps_without_a_metric_and_the_evaluation_before_training_do_not_count():
    rows = history(lambda step: {"length/math/truncated": 1.0})
    rows = [{"step": 0, "length/math/truncated": 1.0}, *rows[:4]]
    rows[2].pop("length/math/truncated")
    assert said(rows) == []
    assert said(rows + history(lambda step: {"length/math/truncated": 1.0})[4:6]) == [("truncated/math", 6)]
