# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The trainer's side of one worker: start it, ask it, kill it with everything that it started.

A worker is a fresh interpreter in a session of its own, never a fork: a fork of a process with JAX's threads can
deadlock, and copying the page tables of a trainer is slow.
"""

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from grpo_jax.rewards.channel import ChannelClosedError, DeadlineError, ParentEnd

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "PYTHONHASHSEED": "0",  # set order, and with it sympy's choice of form, repeats in a resumed run
    "PYTHONUNBUFFERED": "1",
}
_LOG_LINES = 30
_SHORTEST_LOOK, _LONGEST_LOOK = 0.02, 0.5
"""Seconds between looks at what a task has used."""


class TimeUpError(Exception):
    """A task reached a limit of time."""

    def __init__(self, wall_seconds: float, cpu_seconds: float) -> None:
        super().__init__(f"{wall_seconds:.1f} s, {cpu_seconds:.1f} s of them on a CPU")
        self.wall_seconds, self.cpu_seconds = wall_seconds, cpu_seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may use.

    Attributes:
        cpu_seconds: CPU time of the worker.
        wall_seconds: The backstop, for tasks that wait instead of computing and for busy hosts.
        resident_bytes: Resident memory of the worker in the middle of a task.
    """

    cpu_seconds: float
    wall_seconds: float
    resident_bytes: int


def _environment() -> dict[str, str]:
    environment = {**os.environ, **_ENVIRONMENT}
    if "site-packages" not in _PACKAGE_ROOT:
        inherited = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([_PACKAGE_ROOT, *([inherited] if inherited else [])])
    return environment


class WorkerProcess:
    """One running worker. Used by one thread; only `kill_group` may be called from others."""

    def __init__(self, setup: bytes) -> None:
        """Start the process and send it the pickled set-up; returns before it is ready."""
        request_read, request_write = os.pipe()
        reply_read, reply_write = os.pipe()
        command = [sys.executable, "-P", "-m", "grpo_jax.rewards.worker", str(request_read), str(reply_write)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(request_read, reply_write),
                start_new_session=True,
                env=_environment(),
            )
        except OSError:
            os.close(request_write)
            os.close(reply_read)
            raise
        finally:
            os.close(request_read)
            os.close(reply_write)
        self._channel = ParentEnd(reply_read, request_write)
        self._usage = psutil.Process(self._process.pid)
        self._setup = setup
        self._kill_lock = threading.Lock()
        self._reaped = False
        self._log: collections.deque[bytes] = collections.deque(maxlen=_LOG_LINES)
        self._drain = threading.Thread(target=self._read_log, name="reward-worker-log", daemon=True)
        self._drain.start()

    def _read_log(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            while line := stream.readline(4096):
                self._log.append(line)

    def log_tail(self) -> str:
        """The last lines that the process printed."""
        self._drain.join(timeout=1.0)
        return b"".join(self._log).decode(errors="replace").strip()

    def wait_ready(self, seconds: float) -> None:
        """Wait for imports and warm-up.

        Raises:
            ChannelClosedError: The process ended; `log_tail` says why.
            DeadlineError: It took longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        self._channel.send(self._setup, deadline)
        self._channel.receive(deadline)

    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def resident_bytes(self) -> int:
        """Resident memory of the process; 0 when it has ended."""
        try:
            return self._usage.memory_info().rss
        except psutil.Error:
            return 0

    def _cpu(self, descendants: bool = False) -> float:
        """CPU seconds used, those of children that have ended included; with `descendants` of living ones too."""
        try:
            # The four fields that Linux and macOS share; Linux adds the wait for disks, which is no CPU time.
            seconds = sum(self._usage.cpu_times()[:4])
            if descendants:
                for child in self._usage.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        seconds += sum(child.cpu_times()[:4])
        except psutil.Error:
            return 0.0
        return seconds

    def ask(self, payload: bytes, limits: Limits) -> Any:
        """Send one request and wait for its reply.

        Raises:
            TimeUpError: A limit of time is reached; the process must be closed.
            ChannelClosedError: The process ended, broke the protocol or took too much memory; it must be closed.
        """
        start = time.monotonic()
        before, end = self._cpu(), start + limits.wall_seconds
        try:
            self._channel.send(payload, end)
        except DeadlineError as error:
            raise TimeUpError(time.monotonic() - start, 0.0) from error
        used = 0.0
        while True:
            try:
                look = time.monotonic() + min(max(limits.cpu_seconds - used, _SHORTEST_LOOK), _LONGEST_LOOK)
                return self._channel.receive(min(look, end))
            except DeadlineError as error:
                now, used = time.monotonic(), self._cpu() - before
                if used >= limits.cpu_seconds:
                    raise TimeUpError(now - start, used) from error
                if now >= end:
                    raise TimeUpError(now - start, self._cpu(descendants=True) - before) from error
                resident = self.resident_bytes()
                if resident > limits.resident_bytes:
                    raise ChannelClosedError(f"{resident} bytes of resident memory") from error

    def kill_group(self) -> None:
        """SIGKILL the process and all in its session; its thread then sees the channel close."""
        with self._kill_lock:
            if not self._reaped:  # until then its id cannot belong to anyone else
                try:
                    os.killpg(self._process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    self._process.kill()  # so young that it has no session yet

    def close(self) -> None:
        """Kill, reap and release everything; safe to repeat."""
        self.kill_group()
        with self._kill_lock:
            self._process.wait()
            self._reaped = True
        self._channel.close()
