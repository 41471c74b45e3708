# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Counts and latencies of the reward workers, over all tasks and by domain."""

import collections
import math
from collections.abc import Sequence

from grpo_jax.records import Reward, RewardStatus

_SAMPLES_KEPT = 4096
_COUNTS = ("tasks", "invalid", "timeouts", "retries", "lost_workers", "restarts")
_PERCENTILES = (50, 95, 99)


class _Record:
    def __init__(self) -> None:
        self.counts = collections.Counter[str]()
        self.waits: collections.deque[float] = collections.deque(maxlen=_SAMPLES_KEPT)
        self.checks: collections.deque[float] = collections.deque(maxlen=_SAMPLES_KEPT)

    def numbers(self) -> dict[str, float]:
        numbers = {name: float(self.counts[name]) for name in _COUNTS}
        for name, values in (("queue_wait", self.waits), ("check", self.checks)):
            ordered = sorted(values)
            numbers |= {f"{name}_p{percent}_seconds": percentile(ordered, percent) for percent in _PERCENTILES}
        return numbers


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile of ascending values; 0 where there are none."""
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1] if ordered else 0.0


class PoolStatistics:
    """Filled by the pool under its own lock."""

    def __init__(self, domains: Sequence[str]) -> None:
        self._all = _Record()
        self._domains = {name: _Record() for name in domains}

    def count(self, what: str, domain: str) -> None:
        """Count one event of `tasks`, `invalid`, `timeouts`, `retries`, `lost_workers` or `restarts`."""
        for record in (self._all, self._domains[domain]):
            record.counts[what] += 1

    def waited(self, domain: str, seconds: float) -> None:
        """Note how long a task waited for its worker."""
        for record in (self._all, self._domains[domain]):
            record.waits.append(seconds)

    def finished(self, domain: str, reward: Reward) -> None:
        """Note a task's end."""
        self.count("tasks", domain)
        if reward.status is RewardStatus.INVALID:
            self.count("invalid", domain)
        if reward.status is RewardStatus.TIMEOUT:
            self.count("timeouts", domain)
        for record in (self._all, self._domains[domain]):
            record.checks.append(reward.seconds)

    def numbers(self) -> dict[str, float]:
        """Counts since the start and percentiles over the newest tasks: of all, and as `{domain}/...`."""
        own = {
            f"{name}/{key}": value for name, record in self._domains.items() for key, value in record.numbers().items()
        }
        return self._all.numbers() | own
