# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The warm interpreter: confines itself, then forks a child for every execution and ends it in time.

It never reads a program or a result. The supervisor hands over descriptors, which go to the child untouched, so the
memory that a child inherits holds nothing of other samples. Its own channel is closed in the child.

    first message    {"landlock": {...} | null, "user": 65534 | null, "filters": bool, "preload": [modules]}
    answer           {"ready": true}
    then, each time  {"roles": [...], "limits": {...}} and `child.DESCRIPTORS` descriptors a role
    answer           {"ends": [{"status", "cpu_seconds", "stopped_by"}], "wall_seconds"}, in the order of the roles

With two roles the last decides: when it ends, the other is killed.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any

from grpo_jax.rewards.sandbox.inside import child, kernel, landlock, seccomp_assembler, syscalls
from grpo_jax.rewards.sandbox.inside.limits import Limits

MAX_MESSAGE_BYTES = 1 << 16
_MAX_DESCRIPTORS = 32
_LONGEST_NAP_SECONDS = 0.05


def main(control_descriptor: int) -> None:
    """Serve until the supervisor closes the channel."""
    control = socket.socket(fileno=control_descriptor)
    _close_others(control_descriptor)
    setup = json.loads(control.recv(MAX_MESSAGE_BYTES))
    for name in setup["preload"]:
        importlib.import_module(name)
    _confine(setup)
    sys.path[:] = [entry for entry in sys.path if entry not in setup["drop_paths"]]
    os.environ.clear()
    child_filter = seccomp_assembler.assemble_for_any_child() if setup["filters"] else None
    gc.collect()
    gc.freeze()  # children share these pages until they write to them
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    control.send(b'{"ready": true}')
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, _MAX_DESCRIPTORS)
        if not message:
            return
        control.send(json.dumps(_execute(json.loads(message), descriptors, child_filter)).encode())


def _close_others(control_descriptor: int) -> None:
    os.closerange(3, control_descriptor)
    os.closerange(control_descriptor + 1, 1024)


def _confine(setup: dict[str, Any]) -> None:
    """Put on every layer that lasts for the zygote's life, weakest privileges last."""
    if setup["user"] is not None:
        kernel.become(setup["user"])
    if setup["filters"]:
        kernel.give_up_capabilities()
    kernel.die_with_parent()  # only now: a change of user id undoes it
    kernel.undumpable()
    if setup["landlock"] is not None:
        landlock.restrict(setup["landlock"]["readable"], setup["landlock"]["listed"])
    if setup["filters"]:
        seccomp_assembler.install(seccomp_assembler.assemble(syscalls.rules(None)))


class _Running:
    """A child that has not ended yet."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.stopped_by: str | None = None
        self.end: dict[str, Any] | None = None

    def cpu_seconds(self) -> float:
        """Processor time so far: the process clock that the kernel keeps under this number (clock_getcpuclockid)."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def kill(self, reason: str) -> None:
        """End it for good, whatever state it is in."""
        if self.stopped_by is None:
            self.stopped_by = reason
            os.kill(self.pid, signal.SIGKILL)

    def reap(self, wait: bool) -> bool:
        """Take note of its end; False while it runs."""
        if self.end is None:
            pid, status, usage = os.wait4(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                spent = usage.ru_utime + usage.ru_stime
                code = os.waitstatus_to_exitcode(status)
                self.end = {"status": code, "cpu_seconds": spent, "stopped_by": self.stopped_by}
                if code == -signal.SIGXCPU and self.stopped_by is None:
                    self.end["stopped_by"] = "cpu"
        return self.end is not None


def _execute(request: dict[str, Any], descriptors: list[int], child_filter: bytes | None) -> dict[str, Any]:
    start = time.monotonic()
    limits = Limits(**request["limits"])
    width = child.DESCRIPTORS
    running: list[_Running] = []
    for index, role in enumerate(request["roles"]):
        pid = os.fork()
        if pid == 0:
            # A child ends in os._exit whatever happens: the zygote's own code must never run in it.
            try:
                child.run(role, descriptors[index * width : (index + 1) * width], limits, child_filter)
            finally:
                os._exit(1)
        running.append(_Running(pid))
    for descriptor in descriptors:
        os.close(descriptor)
    _wait(running, limits, start + limits.wall_seconds)
    return {"ends": [process.end for process in running], "wall_seconds": time.monotonic() - start}


def _wait(running: list[_Running], limits: Limits, deadline: float) -> None:
    decider = running[-1]
    while not decider.reap(wait=False):
        left = deadline - time.monotonic()
        if left <= 0:
            decider.kill("wall")
        nap = max(left, 0.001)
        for process in running:
            if process.end is None and not process.reap(wait=False):
                spare = limits.cpu_seconds - process.cpu_seconds()
                if spare <= 0:
                    process.kill("cpu")
                # However many threads it runs, its clock gains at most one second a second on each core.
                nap = min(nap, max(spare / (os.cpu_count() or 1), 0.001) if spare > 0 else _LONGEST_NAP_SECONDS)
        if decider.end is None:
            signal.sigtimedwait([signal.SIGCHLD], nap)
    for process in running:
        if process.end is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill("decided")
            process.reap(wait=True)
