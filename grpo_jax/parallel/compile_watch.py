# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run compiles: how many programs, for how long, which came from the cache, and which compile a second time."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import jax

logger = logging.getLogger(__name__)

_COMPILED = "/jax/core/compile/backend_compile_duration"
"""Once a program, also where it came from the persistent cache, which then takes less time."""
_FOUND = "/jax/compilation_cache/cache_hits"
_JAX_LOGGER = logging.getLogger("jax._src.interpreters.pxla")
"""Says what shapes a program is compiled for; jax.monitoring does not."""
_MOST_CHANGES = 4


@dataclass
class Compiled:
    """Programs compiled over some time.

    Attributes:
        programs: How many, those from the cache included.
        found: How many of them came from the persistent cache.
        seconds: What they took.
        seconds_beside: How much of this was in other threads than the run's own.
    """

    programs: int = 0
    found: int = 0
    seconds: float = 0.0
    seconds_beside: float = 0.0


class CompileWatch:
    """Listens to JAX from its `with` on.

    A program that compiles again between `first_step_done` and `last_step_done` gets a line in the log, unless it is a
    single operation of JAX.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._since_start, self._since_taken = Compiled(), Compiled()
        self._shapes: dict[str, Sequence[Any]] = {}
        self._before: dict[tuple[str, int], Sequence[Any]] = {}
        self._thread = threading.get_ident()
        self._settled = False
        self._level = _JAX_LOGGER.level
        self._shapes_filter = _ShapesFilter(self, _JAX_LOGGER.getEffectiveLevel())

    def __enter__(self) -> "CompileWatch":
        jax.monitoring.register_event_duration_secs_listener(self._on_duration)
        jax.monitoring.register_event_listener(self._on_event)
        _JAX_LOGGER.addFilter(self._shapes_filter)
        _JAX_LOGGER.setLevel(logging.DEBUG)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        jax.monitoring.unregister_event_duration_listener(self._on_duration)
        jax.monitoring.unregister_event_listener(self._on_event)
        _JAX_LOGGER.removeFilter(self._shapes_filter)
        _JAX_LOGGER.setLevel(self._level)

    def first_step_done(self) -> None:
        """Say how long the start took; from here on, programs that compile again are named."""
        if self._settled:
            return
        self._settled = True
        whole = self._since_start
        if not jax.config.values["jax_compilation_cache_dir"]:
            cache = "no compile cache"
        else:
            kind = "warm" if 2 * whole.found > whole.programs else "cold"
            cache = f"compile cache {kind}: {whole.found} of {whole.programs} programs were in it"
        logger.info(
            "first step done %.1f s after the start, %.1f s of them compiling and %.1f s compiling beside it; %s",
            time.perf_counter() - self._start,
            whole.seconds - whole.seconds_beside,
            whole.seconds_beside,
            cache,
        )

    def last_step_done(self) -> None:
        """From here on no program is named: an export compiles one for each shape of a weight."""
        self._settled = False

    def take(self) -> dict[str, float]:
        """Metrics of what was compiled since the last call."""
        taken, self._since_taken = self._since_taken, Compiled()
        return {
            "time/compile_seconds": taken.seconds,
            "time/compiled_programs": float(taken.programs),
            "time/compiled_programs_from_cache": float(taken.found),
        }

    def expect(self, name: str, shapes: Sequence[Any]) -> None:
        """Note the shapes that a program is about to be compiled for."""
        if name in self._shapes:
            self._before[name, threading.get_ident()] = self._shapes[name]
        self._shapes[name] = shapes

    def _on_event(self, event: str, **kwargs: Any) -> None:
        if event == _FOUND:
            self._since_start.found += 1
            self._since_taken.found += 1

    def _on_duration(self, event: str, duration_secs: float, **kwargs: Any) -> None:
        if event != _COMPILED:
            return
        for compiled in (self._since_start, self._since_taken):
            compiled.programs += 1
            compiled.seconds += duration_secs
            compiled.seconds_beside += duration_secs * (threading.get_ident() != self._thread)
        name = _plain(str(kwargs.get("fun_name", "a program")))
        before = self._before.pop((name, threading.get_ident()), None)
        if self._settled and before is not None and not _is_single_operation(name):
            changes = changed_shapes(before, self._shapes[name])
            logger.warning("%s compiled again, %.1f s: %s", name, duration_secs, changes)


class _ShapesFilter(logging.Filter):
    """Picks the shapes out of what JAX logs before it compiles a program, and stops what was not to be logged.

    A filter and no handler: a record that passes goes on to the root logger's handlers, which libraries set up, too.
    """

    def __init__(self, watch: CompileWatch, level: int):
        super().__init__()
        self._watch, self._level = watch, level

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) > 1 and str(record.msg).startswith("Compiling "):
            name, shapes = record.args[:2]
            self._watch.expect(_plain(str(name)), [*shapes] if isinstance(shapes, Sequence) else [])
        return record.levelno >= self._level


def _plain(name: str) -> str:
    return name.removeprefix("jit_").removeprefix("jit(").removesuffix(")")


def _is_single_operation(name: str) -> bool:
    return hasattr(jax.lax, name) or hasattr(jax.numpy, name.strip("_"))


def changed_shapes(before: Sequence[Any], now: Sequence[Any]) -> str:
    """What differs between the inputs of a program's two compilations, in words."""
    if len(before) != len(now):
        return f"{len(before)} inputs became {len(now)}"
    changed = dict.fromkeys(
        f"{_text(old)} -> {_text(new)}" for old, new in zip(before, now, strict=True) if _text(old) != _text(new)
    )
    if not changed:
        return "inputs of the same shapes, laid out otherwise or beside another constant"
    more = f" and {len(changed) - _MOST_CHANGES} more" if len(changed) > _MOST_CHANGES else ""
    return ", ".join([*changed][:_MOST_CHANGES]) + more


def _text(shaped: Any) -> str:
    if not hasattr(shaped, "dtype"):
        return repr(shaped)
    return f"{shaped.dtype}[{','.join(map(str, shaped.shape))}]"
