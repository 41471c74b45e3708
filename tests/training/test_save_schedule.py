# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""When a checkpoint is due."""

import time

import pytest

from grpo_jax.config import CheckpointConfig
from grpo_jax.training.save_schedule import SaveSchedule


class Clock:
    """The machine's two clocks, which only a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic, self.of_day = 1000.0, 1.7e9
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)
        monkeypatch.setattr(time, "time", lambda: self.of_day)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_by_count_alone() -> None:
    schedule = SaveSchedule(CheckpointConfig(every_steps=3))
    assert [step for step in range(1, 10) if schedule.due(step)] == [3, 6, 9]


def test_by_the_clock_from_the_last_checkpoint_on_whatever_caused_it(clock: Clock) -> None:
    schedule = SaveSchedule(CheckpointConfig(every_steps=100, every_minutes=2))
    clock.monotonic += 119
    assert not schedule.due(1)
    clock.monotonic += 1
    assert schedule.due(2)
    schedule.saved()
    assert not schedule.due(3)
    clock.monotonic += 119
    assert not schedule.due(4)
    assert schedule.due(100)


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_time_of_day_that_jumps_changes_nothing(clock: Clock, jump: float) -> None:
    schedule = SaveSchedule(CheckpointConfig(every_steps=0, every_minutes=1))
    clock.of_day += jump
    assert not schedule.due(1)
    clock.monotonic += 60
    assert schedule.due(2)


def test_a_run_without_any_cause_has_no_checkpoints() -> None:
    assert not SaveSchedule(CheckpointConfig(every_steps=0)).enabled
    for settings in ({"every_minutes": 1}, {"keep_best": 1}):
        schedule = SaveSchedule(CheckpointConfig(**{"every_steps": 0, **settings}))
        assert schedule.enabled
        assert not schedule.due(5)
