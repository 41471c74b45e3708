# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores completions in worker processes, so that nothing a completion does can hang or crash the trainer.

    submit --> waiting tasks --> slot thread <--pipe--> worker process
    collect <-- rewards <-------/   |
                                    +-- over its time: SIGKILL of the worker's group, status timeout, a fresh worker
                                    +-- worker lost: once more, alone in a fresh worker; lost again: probe

A sample that loses its worker twice while a fresh worker answers an honest probe is `fail` with the reason
`killed_checker`: crashing the checker must not be a way out of a bad score. If the probe fails too it is `invalid`.
"""

import collections
import itertools
import pickle
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from grpo_jax.config import Domain, RewardsConfig
from grpo_jax.records import Problem, Reward, RewardStatus
from grpo_jax.rewards import registry
from grpo_jax.rewards.channel import ChannelClosedError, DeadlineError
from grpo_jax.rewards.worker_process import WorkerProcess

READY_SECONDS = 180.0
"""Limit for a worker's imports and warm-up."""
_START_ATTEMPTS = 3
_SAMPLES_KEPT = 4096
_PROBE = pickle.dumps(None)
_PROBE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Task:
    ticket: int
    payload: bytes
    part_names: tuple[str, ...]
    submitted: float


def _invalid(reason: str) -> Reward:
    return Reward(RewardStatus.INVALID, None, {}, reason=reason)


def _percentile(values: Sequence[float], fraction: float) -> float:
    return sorted(values)[min(int(fraction * len(values)), len(values) - 1)] if values else 0.0


class RewardPool:
    """Worker processes behind `submit` and `collect`; a context manager."""

    def __init__(self, domains: Mapping[str, Domain], settings: RewardsConfig) -> None:
        """Check every reward function of every domain, then start the workers without waiting for them.

        Raises:
            ConfigError: A reward function cannot be found, or a package that it needs is missing.
        """
        for domain in domains.values():
            for name in domain.rewards:
                registry.resolve(name).check_available()
        self._domains = dict(domains)
        self._timeout_seconds = settings.timeout_seconds
        self._setup = pickle.dumps({"path": [*sys.path], "domains": pickle.dumps(self._domains)})
        self._condition = threading.Condition()
        self._tickets = itertools.count()
        self._waiting: collections.deque[_Task] = collections.deque()
        self._open: set[int] = set()  # submitted and not yet collected
        self._rewards: dict[int, Reward] = {}
        self._workers: set[WorkerProcess] = set()
        self._closing = False
        self._failure = ""
        self._ready = 0
        self._busy = 0
        self._alive = settings.workers
        self._counts = collections.Counter[str]()
        self._waits: collections.deque[float] = collections.deque(maxlen=_SAMPLES_KEPT)
        self._checks: collections.deque[float] = collections.deque(maxlen=_SAMPLES_KEPT)
        # The slot threads start the workers: Linux ties the parent-death signal to the thread that started a process.
        self._threads = [
            threading.Thread(target=self._serve, name=f"reward-slot-{index}", daemon=True)
            for index in range(settings.workers)
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
            self._condition.wait_for(lambda: self._ready == len(self._threads) or self._failure or self._closing)
            failure = self._failure if self._ready < len(self._threads) else ""
        if failure:
            self.close()
            raise RuntimeError(failure)

    def submit(self, problem: Problem, completion_text: str) -> int:
        """Queue one completion and return its ticket at once; any thread may call this.

        Raises:
            ValueError: The problem's domain is not one of the pool's.
        """
        domain = self._domains.get(problem.domain)
        if domain is None:
            raise ValueError(
                f"problem {problem.id!r} has domain {problem.domain!r}; the pool scores {[*self._domains]}"
            )
        payload = pickle.dumps((problem.domain, problem, completion_text))
        with self._condition:
            ticket = next(self._tickets)
            self._open.add(ticket)
            if self._closing or not self._alive:
                self._rewards[ticket] = _invalid(self._failure or "the pool is closed")
            else:
                self._waiting.append(_Task(ticket, payload, tuple(domain.rewards), time.monotonic()))
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
                collected.append(self._rewards.pop(ticket, None) or _invalid(late))
            return collected

    def close(self) -> None:
        """Kill all workers and wait for their end; what is unfinished becomes invalid. Safe to repeat."""
        with self._condition:
            self._closing = True
            self._abandon("the pool was closed")
            workers = [*self._workers]
            self._condition.notify_all()
        for worker in workers:
            worker.kill_group()
        for thread in self._threads:
            thread.join()

    def statistics(self) -> dict[str, float]:
        """Counts since the start, and latencies in seconds over the newest tasks."""
        with self._condition:
            waits, checks = [*self._waits], [*self._checks]
            numbers = {name: float(self._counts[name]) for name in ("tasks", "timeouts", "lost_workers", "restarts")}
            numbers |= {"invalid": float(self._counts["invalid"]), "workers_busy": float(self._busy)}
            numbers |= {"workers_alive": float(self._alive), "tasks_waiting": float(len(self._waiting))}
        for name, values in (("queue_wait", waits), ("check", checks)):
            numbers |= {
                f"{name}_p50_seconds": _percentile(values, 0.5),
                f"{name}_p95_seconds": _percentile(values, 0.95),
            }
        return numbers

    def _abandon(self, reason: str) -> None:
        """Turn every waiting task into an invalid reward; the caller holds the condition."""
        while self._waiting:
            self._rewards[self._waiting.popleft().ticket] = _invalid(reason)
        self._condition.notify_all()

    def _start_worker(self) -> WorkerProcess | None:
        """A ready worker; None when the pool is closing or none can be started (then `_failure` says why)."""
        for _ in range(_START_ATTEMPTS):
            worker = WorkerProcess(self._setup)
            with self._condition:
                self._workers.add(worker)
                closing = self._closing
            try:
                if not closing:
                    worker.wait_ready(READY_SECONDS)
                    return worker
            except (ChannelClosedError, DeadlineError) as error:
                late = isinstance(error, DeadlineError)
                why = f"was not ready after {READY_SECONDS:.0f} s" if late else "ended while starting"
            self._discard(worker)
            with self._condition:
                if self._closing:
                    return None
                self._failure = f"a reward worker {why}; it printed:\n{worker.log_tail()}"
                if self._ready < len(self._threads):  # at start-up a second try would only repeat the message
                    return None
        return None

    def _discard(self, worker: WorkerProcess) -> None:
        worker.close()
        with self._condition:
            self._workers.discard(worker)

    def _restart(self, worker: WorkerProcess) -> WorkerProcess | None:
        self._discard(worker)
        with self._condition:
            self._counts["restarts"] += 1
        return self._start_worker()

    def _next(self) -> _Task | None:
        with self._condition:
            while True:
                self._condition.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return None
                task = self._waiting.popleft()
                if task.ticket in self._open:
                    self._busy += 1
                    self._waits.append(time.monotonic() - task.submitted)
                    return task

    def _finish(self, task: _Task, reward: Reward) -> None:
        with self._condition:
            self._busy -= 1
            self._counts["tasks"] += 1
            self._counts["invalid"] += reward.status is RewardStatus.INVALID
            self._counts["timeouts"] += reward.status is RewardStatus.TIMEOUT
            self._checks.append(reward.seconds)
            if task.ticket in self._open:
                self._rewards[task.ticket] = reward
            self._condition.notify_all()

    def _serve(self) -> None:
        """The life of one slot."""
        worker = self._start_worker()
        with self._condition:
            self._ready += worker is not None
            self._condition.notify_all()
        while worker is not None and (task := self._next()) is not None:
            reward, healthy = self._attempt(worker, task)
            if reward is None:
                worker = self._restart(worker)
                reward, worker = self._second_attempt(worker, task)
                self._finish(task, reward)
            else:
                self._finish(task, reward)
                if not healthy:
                    worker = self._restart(worker)
        if worker is not None:
            self._discard(worker)
        with self._condition:
            self._alive -= 1
            if not self._alive:
                self._abandon(self._failure or "the pool was closed")
            self._condition.notify_all()

    def _attempt(self, worker: WorkerProcess, task: _Task) -> tuple[Reward | None, bool]:
        """The reward (None when the worker was lost) and whether the worker can go on."""
        start = time.monotonic()
        try:
            reply = worker.ask(task.payload, self._timeout_seconds)
            status = RewardStatus(reply["status"])
            return Reward(status, reply["total"], reply["parts"], reply["seconds"], reply["reason"]), True
        except DeadlineError:
            zeros = dict.fromkeys(task.part_names, 0.0)
            seconds = time.monotonic() - start
            reason = f"checking took longer than {self._timeout_seconds} s"
            return Reward(RewardStatus.TIMEOUT, 0.0, zeros, seconds, reason), False
        except ChannelClosedError:
            with self._condition:
                self._counts["lost_workers"] += 1
            return None, False

    def _second_attempt(self, worker: WorkerProcess | None, task: _Task) -> tuple[Reward, WorkerProcess | None]:
        """Try once more in a fresh worker, and find out whose fault a second loss is."""
        if worker is None:
            return _invalid(self._failure or "the pool was closed"), None
        reward, healthy = self._attempt(worker, task)
        if reward is not None:
            return reward, worker if healthy else self._restart(worker)
        worker = self._restart(worker)
        if worker is None:
            return _invalid(self._failure or "the pool was closed"), None
        try:
            honest = worker.ask(_PROBE, _PROBE_SECONDS) == {"probe": True}
        except (ChannelClosedError, DeadlineError):
            honest = False
        if not honest:
            return _invalid("the worker was lost twice, and an honest probe failed too"), self._restart(worker)
        zeros = dict.fromkeys(task.part_names, 0.0)
        return Reward(RewardStatus.FAIL, 0.0, zeros, reason="killed_checker"), worker
