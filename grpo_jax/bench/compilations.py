# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Counting what JAX compiles, and for how long, while something runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax

_EVENT = "/jax/core/compile/backend_compile_duration"
"""Once a program, also where it came from the persistent cache, which then takes less time."""


@dataclass
class Compilations:
    """Programs compiled since counting began, and the seconds that took."""

    count: int = 0
    seconds: float = 0.0


@contextmanager
def counting_compilations() -> Iterator[Compilations]:
    """Count the programs that are compiled inside the block."""
    found = Compilations()

    def listen(event: str, duration_secs: float, **kwargs: Any) -> None:
        if event == _EVENT:
            found.count += 1
            found.seconds += duration_secs

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
