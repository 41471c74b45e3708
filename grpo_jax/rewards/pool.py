# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores completions in worker processes, so that nothing a completion does can hang or crash the trainer.

    submit --> waiting tasks --> slot thread <--pipe--> worker process
    collect <-- rewards <-------/   |
                                    +-- over its CPU time: SIGKILL of the worker's group, timeout, a spare takes over
                                    +-- over its wall time, with little CPU used: once more, with nothing beside it
                                    +-- worker lost: once more, alone in a fresh worker; lost again: probe

A sample that loses its worker twice while a fresh worker answers an honest probe is `fail` with the reason
`killed_checker`: crashing the checker must not be a way out of a bad score. If the probe fails too it is `invalid`.
"""

import collections
import itertools
import logging
import os
import pickle
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from grpo_jax.config import Domain, RewardPhase, RewardsConfig
from grpo_jax.records import Problem, Reward
from grpo_jax.rewards import registry
from grpo_jax.rewards.nursery import Nursery
from grpo_jax.rewards.pool_statistics import PoolStatistics
from grpo_jax.rewards.router import Router, part_names
from grpo_jax.rewards.slot import Slot, Task, TaskLimits, invalid

logger = logging.getLogger(__name__)

_MAX_DEFAULT_SLOTS = 32


def num_slots(settings: RewardsConfig) -> int:
    """Workers to run on this host: those asked for, or half of the cores up to 32, and never more than the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if settings.workers is None:
        return max(1, min(_MAX_DEFAULT_SLOTS, cores // 2))
    if settings.workers > cores:
        logger.warning("rewards.workers=%d, but this host has %d cores; starting %d", settings.workers, cores, cores)
    return min(settings.workers, cores)


def check_rewards_ready(domains: Mapping[str, Domain], settings: RewardsConfig) -> RewardsConfig:
    """Ask every reward module whether it can work on this host.

    Returns:
        The settings with the sandbox that was chosen, where a reward runs model-written code.

    Raises:
        ConfigError: A reward cannot be found, a package is missing, or no sandbox works.
    """
    resolved = [registry.resolve(name) for name in part_names(domains)]
    if any(reward.needs_sandbox for reward in resolved):
        from grpo_jax.rewards.sandbox.selection import select_backend

        settings = replace(settings, sandbox=select_backend(settings.sandbox, settings.run_unconfined_code))
        logger.info("model-written code runs in the sandbox %s", settings.sandbox)
    for reward in resolved:
        reward.check_available(settings)
    return settings


class RewardPool:
    """Worker processes behind `submit` and `collect`; a context manager."""

    def __init__(
        self, domains: Mapping[str, Domain], settings: RewardsConfig, phases: Sequence[RewardPhase] = ()
    ) -> None:
        """Check every reward function of every domain, then start the workers without waiting for them.

        Raises:
            ConfigError: A reward function or one of its settings cannot be found, a package that it needs is missing,
                or it needs a sandbox and none works.
        """
        self._router = Router(domains, settings, phases)  # for its checks and names; it scores in the workers
        # Workers score; how completions were made, perhaps by a function that cannot be pickled, is nothing to them.
        self._domains = {name: replace(domain, rollout=None, rollout_settings={}) for name, domain in domains.items()}
        self._num_phases = len(phases)
        settings = check_rewards_ready(domains, settings)
        self._patience_seconds = 2 * TaskLimits(settings).in_company.wall_seconds
        self._settings = settings
        plan = pickle.dumps((self._domains, settings, tuple(phases)))
        slots = num_slots(settings)
        self._nursery = Nursery(pickle.dumps({"path": [*sys.path], "plan": plan}), slots)
        self._condition = threading.Condition()
        self._tickets = itertools.count()
        self._waiting: collections.deque[Task] = collections.deque()
        self._suspects: collections.deque[Task] = collections.deque()  # to be checked with nothing beside them
        self._open: set[int] = set()  # submitted and not yet collected
        self._rewards: dict[int, Reward] = {}
        self._closing = False
        self._ready = 0
        self._busy = 0
        self._busy_alone = False
        self._alive = slots
        self._recycled = 0
        self._statistics = PoolStatistics([*domains])
        self._threads = [
            threading.Thread(target=self._serve, name=f"reward-slot-{index}", daemon=True) for index in range(slots)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "RewardPool":
        self.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_ready(self) -> None:
        """Wait until every worker has finished its imports; the pool is closed when one cannot start.

        Raises:
            RuntimeError: A worker failed to start; the message ends with what it printed.
        """
        with self._condition:
            self._condition.wait_for(
                lambda: self._ready == len(self._threads) or self._alive < len(self._threads) or self._closing
            )
            failure = self._nursery.failure if self._ready < len(self._threads) else ""
        if failure:
            self.close()
            raise RuntimeError(failure)
        self._nursery.keep_spares()

    def submit(self, problem: Problem, completion_text: str, phase: int | None = None) -> int:
        """Queue one completion and return its ticket; any thread may call this.

        Waits while `rewards.queue_size` completions wait already, so whoever samples cannot run ahead of the workers.

        Args:
            problem: Its domain must be one of the pool's.
            completion_text: Decoded text of the assistant's turn.
            phase: Number of the reward phase; None has all parts on.

        Raises:
            ValueError: The problem's domain or the phase is not one of the pool's.
        """
        if problem.domain not in self._domains:
            raise ValueError(
                f"problem {problem.id!r} has domain {problem.domain!r}; the pool scores {[*self._domains]}"
            )
        if phase is not None and not 0 <= phase < self._num_phases:
            raise ValueError(f"phase {phase} is unknown; the pool has {self._num_phases}")
        payload = pickle.dumps((problem, completion_text, phase))
        names = self._router.names(problem.domain, phase)
        with self._condition:
            self._condition.wait_for(
                lambda: len(self._waiting) < self._settings.queue_size or self._closing or not self._alive
            )
            ticket = next(self._tickets)
            self._open.add(ticket)
            if self._closing or not self._alive:
                self._rewards[ticket] = invalid(self._nursery.failure or "the pool is closed")
            else:
                self._waiting.append(Task(ticket, problem.domain, payload, names, time.monotonic()))
            self._condition.notify_all()
        return ticket

    def collect(self, tickets: Sequence[int], deadline_seconds: float | None = None) -> list[Reward]:
        """Wait for rewards; a ticket can be collected once.

        Args:
            tickets: What `submit` returned.
            deadline_seconds: From now; what is not scored by then is given up and comes back as invalid.

        Returns:
            One reward per ticket, in the order of `tickets`.

        Raises:
            ValueError: A ticket is unknown, repeated or already collected.
            RuntimeError: A worker failed to start.
        """
        deadline = None if deadline_seconds is None else time.monotonic() + deadline_seconds
        self.wait_ready()
        with self._condition:
            if len(set(tickets)) < len(tickets) or not self._open.issuperset(tickets):
                raise ValueError("a ticket is unknown, repeated or already collected")
            collected = []
            for ticket in tickets:
                left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
                self._condition.wait_for(lambda ticket=ticket: ticket in self._rewards, timeout=left)
                self._open.discard(ticket)
                late = f"not scored within {deadline_seconds} s"
                collected.append(self._rewards.pop(ticket, None) or invalid(late))
            return collected

    def scored(self, tickets: Collection[int], wait_seconds: float = 0.0) -> set[int]:
        """Those of the tickets whose reward is there; waits so long for the first of them."""
        with self._condition:
            self._condition.wait_for(lambda: not self._rewards.keys().isdisjoint(tickets), wait_seconds)
            return {ticket for ticket in tickets if ticket in self._rewards}

    def cancel(self, tickets: Collection[int]) -> None:
        """Give up completions that nobody will collect; those already collected are passed over."""
        with self._condition:
            self._open.difference_update(tickets)
            for ticket in tickets:
                self._rewards.pop(ticket, None)
            for queue in (self._waiting, self._suspects):
                kept = [task for task in queue if task.ticket in self._open]
                queue.clear()
                queue.extend(kept)
            self._condition.notify_all()

    def close(self) -> None:
        """Kill all workers and wait for their end; what is unfinished becomes invalid. Safe to repeat."""
        with self._condition:
            self._closing = True
            self._abandon("the pool was closed")
        self._nursery.kill_all()
        for thread in self._threads:
            thread.join()
        self._nursery.join()

    def statistics(self) -> dict[str, float]:
        """Counts since the start and percentiles of waits and checks over the newest tasks, of all and by domain."""
        with self._condition:
            return self._statistics.numbers() | {
                "recycled": float(self._recycled),
                "workers_busy": float(self._busy),
                "workers_alive": float(self._alive),
                "tasks_waiting": float(len(self._waiting) + len(self._suspects)),
            }

    def _abandon(self, reason: str) -> None:
        """Turn every waiting task into an invalid reward; the caller holds the condition."""
        for queue in (self._waiting, self._suspects):
            while queue:
                task = queue.popleft()
                if task.ticket in self._open:
                    self._rewards[task.ticket] = invalid(reason)
        self._condition.notify_all()

    def _take(self) -> Task | None:
        """The next task that may start now; the caller holds the condition."""
        if self._busy_alone:
            return None
        # Suspects wait for a lull, but not for ever.
        overdue = self._suspects and time.monotonic() - self._suspects[0].submitted > self._patience_seconds
        if self._waiting and not overdue:
            return self._waiting.popleft()
        if self._suspects and not self._busy:
            return self._suspects.popleft()
        return None

    def _next(self) -> Task | None:
        with self._condition:
            while not self._closing:
                task = self._take()
                if task is None:
                    self._condition.wait()
                elif task.ticket in self._open:
                    self._busy += 1
                    self._busy_alone = task.alone
                    if not task.alone:
                        self._statistics.waited(task.domain, time.monotonic() - task.submitted)
                    self._condition.notify_all()  # the queue has room
                    return task
            return None

    def _finish(self, task: Task, reward: Reward | None) -> None:
        """Note the end of an attempt; None sends the task among the suspects."""
        with self._condition:
            self._busy -= 1
            self._busy_alone = False
            if reward is not None:
                self._statistics.finished(task.domain, reward)
                if task.ticket in self._open:
                    self._rewards[task.ticket] = reward
            elif self._closing:
                self._rewards[task.ticket] = invalid("the pool was closed")
            else:
                self._statistics.count("retries", task.domain)
                self._suspects.append(replace(task, alone=True, submitted=time.monotonic()))
            self._condition.notify_all()

    def _serve(self) -> None:
        """The life of one slot."""
        slot = Slot(self._nursery, self._settings, self._count)
        started = slot.start()
        with self._condition:
            self._ready += started
            self._condition.notify_all()
        try:
            while slot.usable and (task := self._next()) is not None:
                try:
                    reward = slot.check(task)
                except Exception as error:
                    # The fault ends this slot with its traceback; whoever waits for the reward must not wait for ever.
                    self._finish(task, invalid(f"a fault of the pool: {registry.one_line(error)}"))
                    raise
                self._finish(task, reward)
                slot.renew()
        finally:
            slot.close()
            with self._condition:
                self._alive -= 1
                if not self._alive:
                    self._abandon(self._nursery.failure or "the pool was closed")
                self._condition.notify_all()

    def _count(self, what: str, domain: str | None) -> None:
        with self._condition:
            if domain is None:
                self._recycled += 1
            else:
                self._statistics.count(what, domain)
