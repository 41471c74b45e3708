# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Starts reward workers, and keeps spare ones warm so that replacing a killed one costs its slot no time."""

import threading

from grpo_jax.rewards.channel import ChannelClosedError, DeadlineError
from grpo_jax.rewards.worker_process import WorkerProcess

READY_SECONDS = 180.0
"""Limit for a worker's imports and warm-up."""
SLOTS_PER_SPARE = 8
_START_ATTEMPTS = 3


class Nursery:
    """All workers of a pool, from their start to their end.

    Linux ties the parent-death signal to the thread that started a process: the threads of the slots and of the spares
    both live until the pool is closed.
    """

    def __init__(self, setup: bytes, num_slots: int) -> None:
        """Start nothing yet.

        Args:
            setup: The first request to every worker.
            num_slots: Workers in service; one spare is kept for every eight of them.
        """
        self._setup = setup
        self._condition = threading.Condition()
        self._all: set[WorkerProcess] = set()
        self._spares: list[WorkerProcess] = []
        self._num_spares = -(-num_slots // SLOTS_PER_SPARE)
        self._closing = False
        self._threads: list[threading.Thread] = []
        self.failure = ""
        """What the last worker that could not start printed; empty where none failed."""

    def keep_spares(self) -> None:
        """Begin to keep spare workers warm; repeated calls change nothing."""
        with self._condition:
            if self._threads or self._closing:
                return
            self._threads = [
                threading.Thread(target=self._keep_spare, name=f"reward-spare-{index}", daemon=True)
                for index in range(self._num_spares)
            ]
            for thread in self._threads:
                thread.start()

    def start(self, attempts: int = 1) -> WorkerProcess | None:
        """Start a worker in this thread; None when closing or where none can be started (then `failure` says why)."""
        for _ in range(attempts):
            try:
                worker = WorkerProcess(self._setup)
            except OSError as error:  # no process or no descriptor left
                self.failure = f"a reward worker could not be started: {error}"
                continue
            with self._condition:
                self._all.add(worker)
                closing = self._closing
            try:
                if not closing:
                    worker.wait_ready(READY_SECONDS)
                    return worker
            except (ChannelClosedError, DeadlineError) as error:
                late = isinstance(error, DeadlineError)
                why = f"was not ready after {READY_SECONDS:.0f} s" if late else "ended while starting"
            self.discard(worker)
            with self._condition:
                if self._closing:
                    return None
                self.failure = f"a reward worker {why}; it printed:\n{worker.log_tail()}"
        return None

    def replacement(self) -> WorkerProcess | None:
        """A spare, or a worker started now where no spare is ready; None as for `start`."""
        while True:
            with self._condition:
                spare = self._spares.pop() if self._spares else None
                self._condition.notify_all()
            if spare is None:
                return self.start(_START_ATTEMPTS)
            if spare.running():
                return spare
            self.discard(spare)

    def discard(self, worker: WorkerProcess) -> None:
        """Kill a worker with everything that it started, and forget it."""
        worker.close()
        with self._condition:
            self._all.discard(worker)

    def kill_all(self) -> None:
        """Kill every worker and start no more."""
        with self._condition:
            self._closing = True
            workers = [*self._all]
            self._condition.notify_all()
        for worker in workers:
            worker.kill_group()

    def join(self) -> None:
        """Wait for the threads of the spares; call after `kill_all`."""
        for thread in self._threads:
            thread.join()
        for spare in self._spares:
            self.discard(spare)
        self._spares.clear()

    def _keep_spare(self) -> None:
        """The life of one spare's thread; it ends where workers cannot be started any more."""
        while (spare := self.start()) is not None:
            with self._condition:
                self._spares.append(spare)
                self._condition.wait_for(lambda spare=spare: spare not in self._spares or self._closing)
                if self._closing:
                    return
