# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The thread of the event loop: it ends when it is asked to, and whoever waits hears when it ended otherwise."""

import asyncio
import threading
from contextlib import closing
from typing import Any

import pytest

from grpo_jax.rollout.event_loop import LoopThread


def test_a_loop_that_breaks_is_reported_to_whoever_waits_and_leaves_no_thread(monkeypatch):
    def broken(timeout):
        raise OSError("bad file descriptor")

    with closing(LoopThread(1.0)) as thread:
        selector: Any = getattr(thread.loop, "_selector")  # noqa: B009 of the loop that every platform has
        monkeypatch.setattr(selector, "select", broken)
        thread.call(lambda: None)
        thread._thread.join(10)
        with pytest.raises(RuntimeError, match="bad file descriptor"):
            thread.check()
    assert not [own for own in threading.enumerate() if own.name == "rollout-functions"]
    assert thread.loop.is_closed()


def test_closing_ends_what_is_under_way_even_if_it_exits_when_cancelled():
    seen = []

    async def stubborn(index):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append(index)
            raise SystemExit from None

    with closing(LoopThread(1.0)) as thread:
        for index in range(3):
            thread.start(stubborn(index))
    assert sorted(seen) == [0, 1, 2]
    assert thread.loop.is_closed()
