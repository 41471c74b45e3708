# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The outer side of one sandbox: starts the zygote, hands it executions, reads what they left, and kills it when late.

Programs go in and results come out through files in memory that the supervisor owns; the kernel's limit on file size
bounds them. What comes back is bytes of a hostile program.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from grpo_jax.rewards.sandbox import bubblewrap
from grpo_jax.rewards.sandbox.inside import landlock, zygote
from grpo_jax.rewards.sandbox.inside.limits import Limits
from grpo_jax.rewards.sandbox.interpreter_files import INSIDE, PACKAGE_ROOT, find_interpreter_files

Backend = Literal["bubblewrap", "landlock", "none"]
Role = Literal["values", "program", "remote", "tests"]

PRELOADED = tuple(
    "abc array ast bisect builtins calendar cmath collections collections.abc contextlib copy dataclasses datetime "
    "decimal enum fractions functools hashlib heapq io itertools json math numbers operator queue random re statistics "
    "string struct sys textwrap threading time types typing unicodedata".split()
)
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
_START_SECONDS = 60.0
_GRACE_SECONDS = 0.5
"""What the zygote gets beyond the wall limit to end an execution by itself."""
_OWN_USER_PROCESSES = 1024
_BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from {module} import main; main(int(sys.argv[2]))"


class SandboxError(RuntimeError):
    """The sandbox itself failed; says nothing about the program."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One process to run: its role, its job (plain JSON) and what stands on its standard input."""

    role: Role
    job: dict[str, Any]
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one process ended and what it left.

    Attributes:
        status: Exit status; minus the signal's number where a signal ended it.
        stopped_by: `cpu` or `wall` for an overrun, `decided` where its result was no longer wanted, else None.
        cpu_seconds: Processor time used.
        result: What it reported, at most `Limits.file_bytes`.
        stdout: What it printed, at most as many bytes.
    """

    status: int
    stopped_by: Literal["cpu", "wall", "decided"] | None
    cpu_seconds: float
    result: bytes = field(repr=False)
    stdout: bytes = field(repr=False)


class Sandbox:
    """A zygote and the way to it. Used by one thread, which must outlive it: the kernel kills it with that thread."""

    def __init__(self, backend: Backend) -> None:
        """Start the zygote.

        Raises:
            SandboxError: It does not start; the message ends with its own words.
        """
        self.backend = backend
        self._process: subprocess.Popen[bytes] | None = None
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.restarts = -1
        self._start()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the zygote, or of the bubblewrap around it."""
        assert self._process is not None
        return self._process.pid

    def run(self, executions: Sequence[Execution], limits: Limits) -> list[Ended]:
        """Run one process, or a pair connected by pipes of which the last decides.

        Raises:
            SandboxError: The zygote was lost (and has been started anew), or cannot be started.
        """
        if self._process is None:
            self._start()
        limits = Limits(**{**asdict(limits), "processes": self._max_processes()})
        opened: list[int] = []
        try:
            handed, kept = self._descriptors(executions, opened)
            request = {"roles": [execution.role for execution in executions], "limits": asdict(limits)}
            ends = self._ask(json.dumps(request).encode(), handed, limits)
            return [
                Ended(end["status"], end["stopped_by"], end["cpu_seconds"], *(_content(one, limits) for one in pair))
                for end, pair in zip(ends, kept, strict=True)
            ]
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def close(self) -> None:
        """Kill the zygote and all that it started; safe to repeat."""
        self._kill()
        if self._null >= 0:
            os.close(self._null)
            self._null = -1

    def _descriptors(
        self, executions: Sequence[Execution], opened: list[int]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Descriptors to hand over, in the order of `child`, and for each execution those of result and stdout."""

        def memory(name: str, content: bytes = b"") -> int:
            opened.append(os.memfd_create(name))
            if content:
                with open(opened[-1], "wb", closefd=False) as file:
                    file.write(content)
                os.lseek(opened[-1], 0, os.SEEK_SET)
            return opened[-1]

        pipes = [(self._null, self._null)]
        if len(executions) == 2:
            there, back = os.pipe(), os.pipe()
            opened += [*there, *back]
            pipes = [(there[0], back[1]), (there[1], back[0])]
        handed, kept = [], []
        for execution, (requests, replies) in zip(executions, pipes, strict=True):
            is_program = execution.role == "program"
            result = memory("result")
            stdin = memory("stdin", execution.stdin) if is_program else self._null
            stdout = memory("stdout") if is_program else self._null
            job = memory("job", json.dumps(execution.job).encode())
            handed += [stdin, stdout, self._null, result, requests, replies, job]
            kept.append((result, stdout))
        return handed, kept

    def _ask(self, request: bytes, descriptors: list[int], limits: Limits) -> list[dict[str, Any]]:
        try:
            socket.send_fds(self._control, [request], descriptors)
            reply = self._receive(limits.wall_seconds + _GRACE_SECONDS)
        except OSError as error:
            self._kill()
            raise SandboxError(f"the zygote of backend {self.backend!r} was lost: {error}") from error
        return reply["ends"]

    def _receive(self, seconds: float) -> dict[str, Any]:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise TimeoutError(f"no word for {seconds:.1f} s")
        message = self._control.recv(zygote.MAX_MESSAGE_BYTES)
        if not message:
            raise ConnectionResetError("it is gone")
        return json.loads(message)

    def _max_processes(self) -> int | None:
        """A bound only where the sandbox runs as a user of its own."""
        return _OWN_USER_PROCESSES if self._changes_user or self.backend == "bubblewrap" else None

    def _start(self) -> None:
        self.restarts += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        try:
            self._changes_user = self._can_change_user()
            self._process = subprocess.Popen(
                self._command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=dict(_ENVIRONMENT),
                cwd="/",
            )
            theirs.close()
            ours.send(json.dumps(self._setup()).encode())
            self._receive(_START_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            theirs.close()
            words = self._last_words()
            raise SandboxError(f"backend {self.backend!r} does not start: {words or error}") from error

    def _command(self, descriptor: int) -> list[str]:
        module = ".".join((*INSIDE.relative_to(PACKAGE_ROOT).parts, "zygote"))
        root = bubblewrap.MOUNT_POINT if self.backend == "bubblewrap" else str(PACKAGE_ROOT)
        python = str(find_interpreter_files().executable) if self.backend != "none" else sys.executable
        command = [python, "-s", "-S", "-P", "-c", _BOOTSTRAP.format(module=module), root, str(descriptor)]
        return bubblewrap.wrapped(command, _ENVIRONMENT) if self.backend == "bubblewrap" else command

    def _setup(self) -> dict[str, Any]:
        files = find_interpreter_files()
        readable = [*files.contents, files.executable, *files.shared]
        rules = {"readable": [str(path) for path in readable], "listed": [str(files.library)]}
        with_landlock = self.backend == "landlock" or (self.backend == "bubblewrap" and landlock.abi_version() > 0)
        return {
            "landlock": rules if with_landlock else None,
            "user": bubblewrap.NOBODY if self._changes_user else None,
            "filters": self.backend != "none",
            "preload": PRELOADED,
            "drop_paths": [bubblewrap.MOUNT_POINT, str(PACKAGE_ROOT)],
        }

    def _can_change_user(self) -> bool:
        """Whether the zygote becomes an unprivileged user: where root starts it and that user can read the library."""
        if os.getuid() != 0 or self.backend == "none":
            return False
        library = find_interpreter_files().library
        return self.backend == "bubblewrap" or all(
            folder.stat().st_mode & 0o001 for folder in (library, *library.parents)
        )

    def _last_words(self) -> str:
        """The last line that a zygote which did not start wrote."""
        process = self._process
        self._kill(close_stderr=False)
        if process is None or process.stderr is None:
            return ""
        with process.stderr as stream:
            lines = stream.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _kill(self, close_stderr: bool = True) -> None:
        process, self._process = self._process, None
        self._control.close()
        if process is None:
            return
        process.send_signal(signal.SIGKILL)
        process.wait()
        if close_stderr and process.stderr is not None:
            process.stderr.close()


def _content(descriptor: int, limits: Limits) -> bytes:
    """What stands in a file in memory; empty for /dev/null."""
    return os.pread(descriptor, limits.file_bytes, 0)
