# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One place of the pool: a worker, its successors, and the verdict on a task that broke one."""

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from grpo_jax.config import RewardsConfig
from grpo_jax.records import Reward, RewardStatus
from grpo_jax.rewards.channel import ChannelClosedError
from grpo_jax.rewards.nursery import Nursery
from grpo_jax.rewards.worker_process import Limits, TimeUpError, WorkerProcess

_WALL_FACTOR = 4
_PROBE = pickle.dumps(None)
_PROBE_LIMITS = Limits(cpu_seconds=30.0, wall_seconds=30.0, resident_bytes=sys.maxsize)


@dataclass(frozen=True, slots=True)
class Task:
    """One completion on its way to a worker.

    Attributes:
        ticket: Under which its reward is collected.
        domain: Of its problem.
        payload: The request.
        part_names: Parts that will score it.
        submitted: When it was queued, as a time of `time.monotonic`.
        alone: It reached its wall time with little CPU used, and runs again with nothing beside it.
    """

    ticket: int
    domain: str
    payload: bytes
    part_names: tuple[str, ...]
    submitted: float
    alone: bool = False


class TaskLimits:
    """What a task may use, in company and alone."""

    def __init__(self, settings: RewardsConfig) -> None:
        wall = settings.timeout_seconds or _WALL_FACTOR * settings.cpu_seconds
        cpu = min(settings.cpu_seconds, wall)
        self.in_company = Limits(cpu, wall, 2 * settings.max_worker_bytes)
        # Alone, a task needs little more wall time than CPU time.
        self.alone = replace(self.in_company, wall_seconds=min(wall, 2 * cpu))


def invalid(reason: str) -> Reward:
    """The reward of a completion that no checker judged."""
    return Reward(RewardStatus.INVALID, None, {}, reason=reason)


class Slot:
    """Used by one thread, which calls `start`, then `check` and `renew` in turn, then `close`."""

    def __init__(self, nursery: Nursery, settings: RewardsConfig, count: Callable[[str, str | None], None]) -> None:
        """Start nothing yet.

        Args:
            nursery: Where workers come from.
            settings: Limits of tasks and workers.
            count: Told of `restarts` and `lost_workers` with the task's domain, and of `recycled` without one.
        """
        self._nursery, self._settings, self._count = nursery, settings, count
        self._limits = TaskLimits(settings)
        self._worker: WorkerProcess | None = None
        self._tasks_done = 0
        self._spoilt_by: str | None = None

    @property
    def usable(self) -> bool:
        """Whether there is a worker; without one, none could be started."""
        return self._worker is not None

    def start(self) -> bool:
        """Start the first worker; whether it is ready."""
        self._worker = self._nursery.start()
        return self.usable

    def check(self, task: Task) -> Reward | None:
        """The reward of a task; None where it must run again alone. `renew` has to follow."""
        assert self._worker is not None
        self._tasks_done += 1
        try:
            return self._attempt(task) or self._second_attempt(task)
        except TimeUpError:
            return None

    def renew(self) -> None:
        """Replace a worker that a task broke, or that has served or grown enough."""
        worker, settings = self._worker, self._settings
        if worker is None:
            return
        if self._spoilt_by is not None:
            self._replace(self._spoilt_by)
        elif self._tasks_done >= settings.recycle_tasks or worker.resident_bytes() > settings.max_worker_bytes:
            self._count("recycled", None)
            self._put_in_service(worker)

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._nursery.discard(self._worker)

    def _replace(self, domain: str) -> None:
        assert self._worker is not None
        self._count("restarts", domain)
        self._put_in_service(self._worker)

    def _put_in_service(self, former: WorkerProcess) -> None:
        self._nursery.discard(former)
        self._worker, self._tasks_done, self._spoilt_by = self._nursery.replacement(), 0, None

    def _attempt(self, task: Task) -> Reward | None:
        """The reward; None when the worker was lost.

        Raises:
            TimeUpError: The wall time is over, little CPU was used, and the task was not alone.
        """
        assert self._worker is not None
        limits = self._limits.alone if task.alone else self._limits.in_company
        try:
            return _reward(self._worker.ask(task.payload, limits))
        except TimeUpError as error:
            self._spoilt_by = task.domain
            if error.cpu_seconds < 0.5 * limits.cpu_seconds and not task.alone:
                raise
            reason = f"checking was stopped after {error}"
            return Reward(RewardStatus.TIMEOUT, 0.0, _zeros(task), error.wall_seconds, reason)
        except ChannelClosedError:
            self._spoilt_by = task.domain
            self._count("lost_workers", task.domain)
            return None

    def _second_attempt(self, task: Task) -> Reward:
        """Try once more in a fresh worker, and find out whose fault a second loss is."""
        self._replace(task.domain)
        if not self.usable:
            return invalid(self._nursery.failure or "the pool was closed")
        reward = self._attempt(task)
        if reward is not None:
            return reward
        self._replace(task.domain)
        if self._worker is None:
            return invalid(self._nursery.failure or "the pool was closed")
        try:
            honest = self._worker.ask(_PROBE, _PROBE_LIMITS) == {"probe": True}
        except (ChannelClosedError, TimeUpError):
            honest = False
        if not honest:
            self._spoilt_by = task.domain
            return invalid("the worker was lost twice, and an honest probe failed too")
        return Reward(RewardStatus.FAIL, 0.0, _zeros(task), reason="killed_checker")


def _reward(reply: Any) -> Reward:
    """Read a worker's reply; what is none counts as the worker's loss."""
    try:
        status, total = RewardStatus(reply["status"]), reply["total"]
        parts = {str(name): float(value) for name, value in reply["parts"].items()}
        total = None if status is RewardStatus.INVALID else float(total)
        answer = None if reply["answer"] is None else str(reply["answer"])
        return Reward(status, total, parts, float(reply["seconds"]), str(reply["reason"]), answer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ChannelClosedError(f"a reply that is no reward: {error}") from error


def _zeros(task: Task) -> dict[str, float]:
    return dict.fromkeys(task.part_names, 0.0)
