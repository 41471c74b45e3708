# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What passes between rollout functions on their event loop and the thread that samples."""

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32

from grpo_jax.records import Completion
from grpo_jax.rollout.trajectory import Ended, Place
from grpo_jax.sampling.request import Partial, SampleRequest, oldest_sampled

_SETTLE_SECONDS = 0.003
"""What the first of many wishes waits for the others."""


@dataclass(eq=False)
class Run:
    """One call of a rollout function.

    Attributes:
        place: Of its rollout.
        step: Names the noise.
        task: The call; cancelling it ends it.
        oldest_version: Of the weights that sampled any token for it so far.
    """

    place: Place
    step: int
    task: "Future[Any] | None" = None
    oldest_version: int | None = None

    def saw(self, versions: Int32[np.ndarray, " C"] | None) -> None:
        """Take note of what was sampled for it."""
        known = [own for own in (self.oldest_version, oldest_sampled([versions])) if own is not None]
        self.oldest_version = min(known, default=None)


@dataclass(frozen=True, eq=False)
class Wish:
    """A turn that a run waits for: what is there of it, and whom to tell of it."""

    run: Run
    request: SampleRequest
    partial: Partial
    future: "asyncio.Future[Completion]"


class Mailbox:
    """Wishes of runs and their ends, until somebody asks for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wishes: deque[Wish] = deque()
        self._ended: deque[tuple[Run, Ended]] = deque()

    async def ask(self, run: Run, request: SampleRequest, partial: Partial) -> Completion:
        """Leave a wish and wait until it is granted; on the event loop."""
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        with self._changed:
            self._wishes.append(Wish(run, request, partial, future))
            self._changed.notify()
        return await future

    def finish(self, run: Run, ended: Ended) -> None:
        """Note the end of a run; on the event loop."""
        with self._changed:
            self._ended.append((run, ended))
            self._changed.notify()

    def wait(self, seconds: float) -> None:
        """Until there is something, at most so long; and then until no more wishes are coming in."""
        with self._changed:
            self._changed.wait_for(lambda: self._wishes or self._ended, seconds)
            count = -1
            while count < len(self._wishes):
                count = len(self._wishes)
                self._changed.wait(_SETTLE_SECONDS)

    def take(self) -> tuple[list[tuple[Run, Ended]], list[Wish]]:
        """All that there is."""
        with self._changed:
            found = [*self._ended], [*self._wishes]
            self._ended.clear()
            self._wishes.clear()
            return found
