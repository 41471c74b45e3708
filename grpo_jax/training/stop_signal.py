# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The wish that a run stops, from SIGTERM or a notice of maintenance, answered between two steps or not in time.

What sends SIGTERM (preemption, Slurm, Kubernetes, `kill`) sends SIGKILL after a while. The loop looks at the wish after
each step, saves and leaves. A thread watches the time: when it is up, the process leaves by itself, so that what
follows knows whether the last step was saved.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from grpo_jax.parallel.processes import leave

logger = logging.getLogger(__name__)

OUT_OF_TIME = 3
"""Exit code of a run that was told to stop and could not save its last step in time."""


class Stop:
    """Whether a stop was asked for, by whom, and whether the state is saved since."""

    def __init__(self, grace_seconds: float, leave: Callable[[int], None] = leave) -> None:
        """Nothing is asked for yet.

        Args:
            grace_seconds: Time from the first wish until the process leaves by itself.
            leave: Ends the process with an exit code.
        """
        self._grace_seconds, self._leave = grace_seconds, leave
        self._asked, self._over = threading.Event(), threading.Event()
        self.reason = ""
        """Who asked first; empty where nobody did."""
        self.saved = False
        """Set by the loop once everything done is on disk: what remains to do may be cut off."""
        self._watch = threading.Thread(target=self._watch_time, name="grace", daemon=True)
        self._watch.start()

    def __bool__(self) -> bool:
        return self._asked.is_set()

    def ask(self, reason: str) -> None:
        """Wish that the run stops. Safe in a signal handler; a later wish changes nothing."""
        self.reason = self.reason or reason
        self._asked.set()

    def over(self) -> None:
        """The run has come to its end; nothing is to be cut off any more."""
        self._over.set()
        self._asked.set()

    def _watch_time(self) -> None:
        self._asked.wait()
        # An event waits by the monotonic clock, whatever happens to the time of day.
        if self._over.wait(self._grace_seconds):
            return
        if self.saved:
            line = f"checkpoint.grace_seconds={self._grace_seconds:g} are over; the state is saved, the rest is left"
        else:
            line = (
                f"{self.reason} asked to stop and the step did not end within checkpoint.grace_seconds="
                f"{self._grace_seconds:g}; leaving without it: the same command goes on from the last checkpoint"
            )
        logger.warning("%s", line)
        print(line, file=sys.stderr)
        self._leave(0 if self.saved else OUT_OF_TIME)


@contextmanager
def stop_requests(grace_seconds: float) -> Iterator[Stop]:
    """Turn SIGTERM into a wish to stop for as long as the block lasts. Off the main thread signals are left alone."""
    stop = Stop(grace_seconds)

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.ask("SIGTERM")

    try:
        before = signal.signal(signal.SIGTERM, handle)
    except ValueError:
        # Python allows handlers on the main thread alone; a notebook's worker thread trains without one.
        before = None
    try:
        yield stop
    finally:
        # The handler first: in the middle of `over` it would wait for a lock that this thread holds.
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        stop.over()
