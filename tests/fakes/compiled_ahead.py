# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""For tests of what is compiled ahead: waiting for the thread, and the names of what is compiled after it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from grpo_jax.parallel.compile_ahead import CompileAhead


def finish(thread: CompileAhead) -> None:
    """Wait for what was submitted to a single thread."""
    done = threading.Event()
    thread.submit(done.set)
    assert done.wait(300)


@contextmanager
def compilations() -> Iterator[list[str]]:
    """Names of the programs that are compiled meanwhile, `jit(name)` each."""
    names: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            names.append(str(kwargs.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
