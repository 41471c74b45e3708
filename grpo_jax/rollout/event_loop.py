# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""An event loop on a thread of its own, which survives what runs on it.

Tasks may be left behind, calls may block, exit the process or stop the loop.
"""

import asyncio
import contextlib
import contextvars
import ctypes
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

CHECK_SECONDS = 0.25
"""How often whoever waits looks whether the loop is blocked."""
_MAX_INTERRUPTS = 3
_CLOSING_ROUNDS = 20

_family: contextvars.ContextVar[set[asyncio.Task[Any]] | None] = contextvars.ContextVar("family", default=None)


class BlockedError(BaseException):
    """Raised inside a function that kept the loop from going on; no `except Exception` stops it."""


class LoopThread:
    """A running loop, until `close`, which leaves nothing of it.

    A call that blocks in Python code is ended by an exception thrown into it. One that blocks in C (`time.sleep`)
    cannot be; it has to end by itself.
    """

    def __init__(self, patience_seconds: float):
        """Start it.

        Args:
            patience_seconds: How long one function may keep the loop from going on.
        """
        self._patience = patience_seconds
        self.loop = asyncio.new_event_loop()
        self.loop.set_task_factory(_make_task)
        self._executor = ThreadPoolExecutor(thread_name_prefix="rollout-blocking")
        self.loop.set_default_executor(self._executor)
        self.loop.set_exception_handler(lambda *_: None)  # tasks that a function left behind, when they fail
        self._thread = threading.Thread(target=self._run, name="rollout-functions", daemon=True)
        self._stopping = False
        self._died: BaseException | None = None
        self._asked: float | None = None
        self._suspect: asyncio.Task[Any] | None = None
        self._interrupts = 0
        self._thread.start()

    def close(self) -> None:
        """Cancel all that runs on it and end it."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self.loop)
        deadline = time.monotonic() + self._patience + 10
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(CHECK_SECONDS)
            with contextlib.suppress(RuntimeError):
                self.check()
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            return  # a daemon, blocked in C: it stops as soon as that call ends
        self.loop.close()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> Future[None]:
        """Run a coroutine; cancelling what is returned cancels it. Any thread may call this."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function on the loop; any thread may call this."""
        self.loop.call_soon_threadsafe(function, *arguments)

    def check(self) -> None:
        """Interrupt the function that blocks the loop, if there is one; call it every `CHECK_SECONDS` or so.

        Raises:
            RuntimeError: It cannot be interrupted, or the loop has broken down.
        """
        if not self._thread.is_alive():
            if self._stopping:
                return
            raise RuntimeError(f"the event loop of rollout functions broke down: {self._died!r}") from self._died
        now, current = time.monotonic(), asyncio.current_task(self.loop)
        if self._asked is None or current is None or current is not self._suspect:
            self._suspect = current
            if self._asked is None:
                self.call(self._answer)
            self._asked = now
            return
        if now - self._asked <= self._patience:
            return
        if self._interrupts == _MAX_INTERRUPTS:
            raise RuntimeError(
                f"a rollout function blocks the event loop for more than {self._patience} s in a call that cannot be "
                "interrupted; await it, or run it with asyncio.to_thread"
            )
        self._interrupts, self._asked = self._interrupts + 1, now
        assert self._thread.ident is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(BlockedError))

    def _answer(self) -> None:
        self._asked, self._interrupts = None, 0

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._stopping:
            try:
                self.loop.run_forever()
            except (BlockedError, KeyboardInterrupt, SystemExit):
                # The first hit the loop itself, when the function had just gone on; asyncio lets the others out of any
                # task and callback. What waits for such a task is told of it all the same.
                continue
            except BaseException as error:  # noqa: BLE001 whoever waits for this thread learns of it by `check`
                self._died = error
                return

    async def _close(self) -> None:
        """End all tasks, and the loop."""
        try:
            await _cancel_all()
        finally:
            self._stopping = True
            self.loop.stop()


@contextlib.contextmanager
def family():
    """Tasks that are started within belong together; those still running at its end are cancelled."""
    members: set[asyncio.Task[Any]] = set()
    token = _family.set(members)
    try:
        yield
    finally:
        _family.reset(token)
        for task in members:
            task.cancel()


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **settings)
    members = _family.get()
    if members is not None:
        members.add(task)
        task.add_done_callback(members.discard)
    return task


async def _cancel_all() -> None:
    """Cancel all other tasks, as often as they swallow it."""
    loop = asyncio.get_running_loop()
    for _ in range(_CLOSING_ROUNDS):
        others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        if not others:
            break
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=0.05)
    await loop.shutdown_asyncgens()
