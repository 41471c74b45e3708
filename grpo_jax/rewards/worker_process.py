# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The trainer's side of one worker: start it, ask it, kill it with everything that it started.

A worker is a fresh interpreter in a session of its own, never a fork: a fork of a process with JAX's threads can
deadlock, and copying the page tables of a trainer is slow.
"""

import collections
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from grpo_jax.rewards.channel import DeadlineError, ParentEnd

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
_STARVED_FACTOR = 3
"""A worker that wants to run but is given no core keeps its task for at most this many timeouts."""


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

    def _cpu(self) -> tuple[str, float] | None:
        """Scheduler state (`R` wants a core) and CPU seconds used so far; None where the system does not say."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        words = fields.rpartition(")")[2].split()
        return words[0], (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, payload: bytes, timeout_seconds: float) -> Any:
        """Send one request and wait for its reply.

        The wall limit is extended, up to three times its length, while the process is runnable and has had less than
        most of `timeout_seconds` of CPU: a busy host is not the completion's fault.

        Raises:
            DeadlineError: Time is up; the process must be closed.
            ChannelClosedError: The process ended or broke the protocol; it must be closed.
        """
        start = time.monotonic()
        before = self._cpu()
        deadline, last = start + timeout_seconds, start + _STARVED_FACTOR * timeout_seconds
        while True:
            try:
                if payload:
                    self._channel.send(payload, deadline)
                    payload = b""
                return self._channel.receive(deadline)
            except DeadlineError:
                now, after = time.monotonic(), self._cpu()
                if payload or now >= last or before is None or after is None or after[0] != "R":
                    raise
                missing = timeout_seconds - (after[1] - before[1])
                if missing < 0.2 * timeout_seconds:
                    raise
                deadline = min(last, now + missing)

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
