# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Programs compiled in a thread: calls find them, nothing is compiled twice, and what goes wrong there is told."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from grpo_jax.parallel.compile_ahead import CompileAhead, Program
from grpo_jax.parallel.compile_watch import CompileWatch
from tests.fakes.compiled_ahead import finish

ROOT = Path(__file__).resolve().parents[2]

EXIT = """
import jax, time
from grpo_jax.parallel.compile_ahead import CompileAhead, Program
thread = CompileAhead()
def deep(x):
    for n in range(400):
        x = jax.numpy.sin(x @ x) + n
    return x
for name in ("under way", "never begun"):
    Program(name, jax.jit(lambda x: deep(x))).compile_ahead(thread, jax.ShapeDtypeStruct((8, 8), "float32"))
thread.close()
print("closed", flush=True)
"""


@pytest.fixture
def watch() -> Iterator[CompileWatch]:
    with CompileWatch() as watching:
        yield watching


def halved_program(started: threading.Event | None = None, go_on: threading.Event | None = None) -> Program:
    """Donates its first argument; lowering waits for the events, where there are any."""

    def halved(state: jax.Array, by: jax.Array) -> tuple[jax.Array, jax.Array]:
        return state / 2 + by.sum(), by * 3

    jitted = jax.jit(halved, donate_argnums=0, out_shardings=(by_row(), None))
    return Program("halved", jitted if started is None or go_on is None else _Held(jitted, started, go_on))


class _Held:
    """A jitted function whose lowering in another thread waits."""

    def __init__(self, jitted, started: threading.Event, go_on: threading.Event):
        self._jitted, self._started, self._go_on = jitted, started, go_on

    def __call__(self, *args):
        return self._jitted(*args)

    def __getattr__(self, name: str):
        return getattr(self._jitted, name)

    def lower(self, *args):
        self._started.set()
        assert self._go_on.wait(60)
        return self._jitted.lower(*args)


def by_row() -> NamedSharding:
    return NamedSharding(jax.make_mesh((2,), ("x",), (AxisType.Auto,), devices=jax.devices()[:2]), P("x"))


def shape(*dims: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(dims, jnp.float32, sharding=by_row())


def ones(*dims: int) -> jax.Array:
    return jax.make_array_from_callback(dims, by_row(), lambda index: np.ones(dims, np.float32)[index])


def test_a_call_with_the_same_shapes_compiles_nothing(watch, caplog):
    caplog.set_level(logging.INFO)
    program, thread = halved_program(), CompileAhead(threads=1)
    result = program.compile_ahead(thread, shape(4), shape(6))
    assert result[0] == shape(4)
    assert result[1].shape == (6,)
    finish(thread)
    state, by = ones(4), ones(6)
    assert watch.take()["time/compiled_programs"] == 1
    for _ in range(2):
        state, other = program(state, by)
    assert watch.take()["time/compiled_programs"] == 0
    assert state.tolist() == [9.25] * 4
    assert other.tolist() == [3.0] * 6
    thread.check()
    assert "compiled ahead" not in caplog.text
    thread.close()


def test_a_call_waits_for_its_program_and_only_for_that(watch):
    started, go_on = threading.Event(), threading.Event()
    program, thread = halved_program(started, go_on), CompileAhead(threads=1)
    program.compile_ahead(thread, shape(4), shape(2))
    assert started.wait(60)
    inputs = [ones(4), ones(2), ones(8), ones(2)]
    # Of other shapes: compiled here and now, beside the thread.
    assert program(inputs[2], inputs[3])[0].shape == (8,)
    results = []
    caller = threading.Thread(target=lambda: results.append(program(inputs[0], inputs[1])))
    caller.start()
    caller.join(0.2)
    assert caller.is_alive()
    go_on.set()
    caller.join(60)
    assert results[0][0].tolist() == [2.5] * 4
    assert watch.take()["time/compiled_programs"] == 2
    thread.close()


def test_what_was_compiled_for_other_shapes_is_named(caplog):
    caplog.set_level(logging.INFO)
    program, thread = halved_program(), CompileAhead(threads=1)
    program.compile_ahead(thread, shape(4), shape(2))
    never = Program("never", jax.jit(jnp.sin))
    never.compile_ahead(thread, shape(4))
    finish(thread)
    program(ones(8), ones(2))
    thread.check()
    thread.check()
    assert [line for line in caplog.messages if "compiled ahead" in line] == [
        "compiled ahead and not needed so far: halved, called for other shapes: float32[4] -> float32[8]",
        "compiled ahead and not needed so far: never, not called yet",
    ]
    thread.close()


def test_a_fault_in_the_thread_ends_the_run():
    class Broken:
        eval_shape = staticmethod(jax.jit(jnp.sin).eval_shape)

        def lower(self, *args):
            raise ValueError("no such instruction")

    thread = CompileAhead(threads=1)
    Program("broken", Broken()).compile_ahead(thread, shape(4))
    finish(thread)
    with pytest.raises(ValueError, match="no such instruction"):
        thread.check()
    thread.close()


def test_a_process_that_ends_meanwhile_ends_cleanly():
    done = subprocess.run(
        [sys.executable, "-c", EXIT],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed\n", "")
