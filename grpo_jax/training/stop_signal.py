# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM as a wish to stop: what preemption, Slurm and `kill` send, answered between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self.asked = False

    def __bool__(self) -> bool:
        return self.asked


@contextmanager
def on_sigterm() -> Iterator[Stop]:
    """Turn SIGTERM into a flag that the loop reads between steps. Off the main thread signals are left alone."""
    stop = Stop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.asked = True

    try:
        before = signal.signal(signal.SIGTERM, handle)
    except ValueError:
        # Python allows handlers on the main thread alone; a notebook's worker thread trains without one.
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
