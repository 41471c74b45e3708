# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One execution, from just after the fork to `os._exit`: descriptors, limits, the stricter filter, then the program."""

import builtins
import fcntl
import gc
import io
import json
import os
import random
import signal
import sys
from typing import Any

from grpo_jax.rewards.sandbox.inside import kernel, limits, seccomp_assembler, solution_runner, tests_runner

STDIN, STDOUT, STDERR, RESULT, REQUESTS, REPLIES, JOB = range(7)
"""Where an execution finds its descriptors; the supervisor hands them over in this order."""
DESCRIPTORS = 7
_HIGHEST = 1024


def run(role: str, handed: list[int], bounds: limits.Limits, child_filter: bytes | None) -> None:
    """Become the execution; does not return.

    Args:
        role: `values`, `program`, `remote` (solution_runner) or `tests` (tests_runner).
        handed: Descriptors, `DESCRIPTORS` of them.
        bounds: Kernel limits to set.
        child_filter: The seccomp filter for any child; None installs none.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    kernel.die_with_parent()
    _arrange(handed)
    job = _read_job()
    if role == "program":
        _open_streams()
    random.seed(0)  # a resumed run repeats an unbroken one
    builtins.exit = builtins.quit = sys.exit  # pyright: ignore[reportAttributeAccessIssue]  -S leaves them out
    limits.apply(bounds)
    gc.enable()
    if child_filter is not None:
        seccomp_assembler.install(seccomp_assembler.for_child(child_filter, os.getpid()))
    if role == "tests":
        tests_runner.run(job, RESULT, REQUESTS, REPLIES)
    elif role == "remote":
        solution_runner.serve_calls(job, REQUESTS, REPLIES)
    elif role == "values":
        solution_runner.report_values(job, RESULT)
    else:
        solution_runner.run_program(job, RESULT)


def _arrange(handed: list[int]) -> None:
    """Put the descriptors where they belong and close every other, the zygote's channel first of all."""
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, DESCRIPTORS) for descriptor in handed]  # no source below a target
    for target, source in enumerate(high):
        os.dup2(source, target)
    os.closerange(DESCRIPTORS, _HIGHEST)


def _read_job() -> dict[str, Any]:
    with open(JOB, "rb") as file:
        return json.loads(file.read())


def _open_streams() -> None:
    """Fresh standard streams, which forgive text that is no UTF-8; only scripts are judged by theirs."""
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(STDIN, "r", closefd=False)), "utf-8", "replace")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(STDOUT, "w", closefd=False)), "utf-8", "backslashreplace")
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(io.FileIO(STDERR, "w", closefd=False)), "utf-8", "backslashreplace")
