# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Programs compiled in a thread before they are needed, while weights load and the first rollouts are sampled.

What a thread has compiled lies where JAX looks first when the function is called, so a call with the same shapes traces
and compiles nothing and runs the very program that it would have compiled itself; any other call is as it always was. A
call that comes while its program is being compiled waits for it, so that nothing is compiled twice. Compiling runs no
collective: each process of a run compiles for itself.
"""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import jax

from grpo_jax.parallel.compile_watch import changed_shapes

logger = logging.getLogger(__name__)

MOST_THREADS = 4
"""XLA has threads of its own for each program; more programs than this at once hinder each other."""


class Program:
    """A jitted function whose programs can be compiled ahead; called like the function.

    Attributes:
        name: For the log.
    """

    def __init__(self, name: str, jitted: Any):
        self.name, self._jitted = name, jitted
        self._turns: dict[tuple[Any, ...], threading.Lock] = {}
        self._called: tuple[Any, ...] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, once nothing compiles a program for these shapes any more."""
        # Looking at the shapes of hundreds of arrays is too slow for a decode loop, so only while something is awaited.
        turn = self._turn(args, kwargs) if self._turns else None
        with turn or nullcontext():
            return self._jitted(*args, **kwargs)

    def compile_ahead(self, thread: "CompileAhead", *args: Any, **kwargs: Any) -> Any:
        """Trace the function here and have the program for these arguments compiled elsewhere.

        Args:
            thread: Compiles it.
            *args: As in a call, with a `jax.ShapeDtypeStruct` (with sharding) in the place of arrays.
            **kwargs: Likewise.

        Returns:
            The result's shapes, with shardings where the function states them.
        """
        turn = self._turns.setdefault(_shapes(args, kwargs), threading.Lock())
        result = self._jitted.eval_shape(*args, **kwargs)

        def compile_now() -> None:
            # A call that came before this and compiles for itself is not waited for: there is other work.
            if turn.acquire(blocking=False):
                try:
                    self._jitted.lower(*args, **kwargs).compile()
                finally:
                    turn.release()

        thread.submit(compile_now)
        thread.watch(self)
        return result

    def take_unused(self) -> list[str]:
        """What was asked for ahead and no call has needed so far; calls are not looked at any more."""
        called, unused = self._called, [*self._turns]
        self._turns.clear()
        if called is None:
            return [f"{self.name}, not called yet" for _ in unused]
        return [f"{self.name}, called for other shapes: {changed_shapes(shapes[1], called)}" for shapes in unused]

    def _turn(self, args: Any, kwargs: Any) -> "threading.Lock | None":
        shapes = _shapes(args, kwargs)
        if shapes not in self._turns:
            self._called = shapes[1]
        return self._turns.pop(shapes, None)


class CompileAhead:
    """The threads that compile, first asked first.

    An exit of the process waits for the program that is being compiled, since XLA cannot be stopped in the middle.

    Attributes:
        enabled: Whether anything is to be compiled ahead.
    """

    def __init__(self, enabled: bool = True, threads: int | None = None):
        """Start no thread before there is work.

        Args:
            enabled: False does no work at all: programs are compiled when they are called.
            threads: Programs compiled at once; None takes a quarter of the CPUs.
        """
        self.enabled = enabled
        threads = max(1, min(MOST_THREADS, (os.cpu_count() or 1) // 4)) if threads is None else threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compile-ahead") if enabled else None
        self._work: list[Future[None]] = []
        self._programs: dict[Program, None] = {}
        self._told = not enabled

    def submit(self, work: Callable[[], None]) -> None:
        """Do something in a thread, after what was submitted before; nothing where there is none."""
        if self._pool is not None:
            self._work.append(self._pool.submit(work))

    def watch(self, program: Program) -> None:
        """Report this program's use."""
        self._programs[program] = None

    def check(self) -> None:
        """Raise what went wrong in a thread; once all is compiled, say so, and name what was not needed.

        Call it when a step is done: what its calls did not need by then was compiled for shapes that did not come.
        """
        for done in [work for work in self._work if work.done()]:
            done.result()
        if self._told or not all(work.done() for work in self._work):
            return
        self._told = True
        for program in self._programs:
            for unused in program.take_unused():
                logger.info("compiled ahead and not needed so far: %s", unused)

    def close(self) -> None:
        """Drop what no thread has begun; returns at once."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def shapes_of(tree: Any) -> Any:
    """Arrays as `jax.ShapeDtypeStruct` with their shardings."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree)


def _shapes(args: Any, kwargs: Any) -> tuple[Any, tuple[Any, ...]]:
    leaves, tree = jax.tree.flatten((args, kwargs))
    return tree, tuple(jax.ShapeDtypeStruct(v.shape, v.dtype) if hasattr(v, "dtype") else v for v in leaves)
