# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Proves a backend before it is trusted: real attempts to break out that must fail, and honest programs that must pass.

Every attempt runs as a solution does, in a sandbox started for the purpose.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grpo_jax.rewards.sandbox.inside.limits import MEBIBYTE, Limits
from grpo_jax.rewards.sandbox.supervisor import Backend, Ended, Execution, Sandbox, SandboxError

_LIMITS = Limits(cpu_seconds=1.0, wall_seconds=3.0)
_SHORT = Limits(cpu_seconds=0.2, wall_seconds=1.0)

HONEST = """
import dataclasses, decimal, json, re, threading
def attempt():
    found = []
    thread = threading.Thread(target=lambda: found.append(re.sub("a", "b", json.dumps({"a": [1, 2.5]}))))
    thread.start()
    thread.join()
    return found[0] == '{"b": [1, 2.5]}' and str(decimal.Decimal("0.1") * 3) == "0.3"
"""

_PRELUDE = """
import ctypes, os, signal, socket, subprocess, sys
libc = ctypes.CDLL(None)
def refused(action):
    try:
        result = action()
    except (OSError, MemoryError):
        return True
    return result == -1
def attempt():
"""

_ATTEMPTS = (
    ("file system", "read a file of the host", f"return refused(lambda: open({__file__!r}).read())"),
    ("file system", "read the list of users", "return refused(lambda: open('/etc/passwd').read())"),
    ("file system", "write a file", "return refused(lambda: open('/tmp/grpo_jax_self_test', 'w').write('x'))"),
    ("file system", "make a folder", "return refused(lambda: os.mkdir('/grpo_jax_self_test') or 1)"),
    (
        "file system",
        "read another process's environment",
        "return refused(lambda: open(f'/proc/{os.getppid()}/environ', 'rb').read())",
    ),
    ("network", "open a socket", "return refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))"),
    ("network", "open a local socket", "return refused(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))"),
    ("processes", "fork", "return refused(lambda: os.fork() or os._exit(0))"),
    ("processes", "start a program", "return refused(lambda: subprocess.run([sys.executable, '-V']))"),
    ("processes", "replace the program", "return refused(lambda: os.execv(sys.executable, ['python', '-V']))"),
    ("processes", "trace the parent", "return refused(lambda: libc.ptrace(16, os.getppid(), 0, 0))"),
    ("processes", "be traced", "return refused(lambda: libc.ptrace(0, 0, 0, 0))"),
    ("signals", "signal the parent", "return refused(lambda: os.kill(os.getppid(), 0) or 1)"),
    ("signals", "signal the group", "return refused(lambda: os.killpg(0, 0) or 1)"),
    ("signals", "signal everyone", "return refused(lambda: os.kill(-1, 0) or 1)"),
    ("namespaces", "make a user namespace", "return refused(lambda: libc.unshare(0x10000000))"),
    ("privileges", "become root", "return refused(lambda: libc.setresuid(0, 0, 0)) or os.getuid() == 0"),
    (
        "privileges",
        "change limits of others",
        "return refused(lambda: libc.prlimit64(os.getppid(), 7, None, b'x' * 16))",
    ),
    ("environment", "find variables of the host", "return not set(os.environ) - {'LC_CTYPE'}"),
    (
        "descriptors",
        "find open descriptors",
        "return all(refused(lambda: os.fstat(number)) for number in range(7, 256))",
    ),
    ("limits", "take 2 GB", "return refused(lambda: len(bytearray(2 << 30)))"),
)
_NAMESPACES_ONLY = (
    ("privileges", "be root", "return os.getuid() != 0 and os.geteuid() != 0"),
    (
        "file system",
        "see files of the host",
        "return not any(os.path.exists(path) for path in ('/etc', '/home', '/tmp', '/var', '/usr/bin/env'))",
    ),
    ("file system", "see processes", "return not os.path.exists('/proc') and os.getpid() < 1000"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One probe: the layer that it tries, what it tries, and whether the sandbox held."""

    layer: str
    attempt: str
    held: bool


def run_self_test(backend: Backend) -> list[Verdict]:
    """Start a sandbox and try it; about half a second.

    Raises:
        SandboxError: The sandbox does not start.
    """
    with Sandbox(backend) as sandbox:
        attempts = [*_ATTEMPTS, *(_NAMESPACES_ONLY if backend == "bubblewrap" else ())]
        verdicts = [_honest(sandbox)]
        verdicts += [Verdict(layer, name, _true(sandbox, f"{_PRELUDE}    {code}\n")) for layer, name, code in attempts]
        verdicts.append(Verdict("limits", "run for ever", _stops(sandbox, "while True: pass", "cpu")))
        verdicts.append(Verdict("limits", "sleep for ever", _stops(sandbox, "import time; time.sleep(99)", "wall")))
        verdicts.append(Verdict("limits", "print for ever", _bounded(sandbox)))
        return [*verdicts, _honest(sandbox)]


def holds(verdicts: Sequence[Verdict]) -> bool:
    """Whether every probe came out as it must."""
    return all(verdict.held for verdict in verdicts)


def values_job(solution: str, tests: Sequence[object]) -> dict[str, object]:
    """A job for the role `values` with nothing around the solution."""
    return {
        "before": [],
        "prompt": "",
        "solution": solution,
        "after": "",
        "tests": list(tests),
        "stop_at_failure": False,
    }


def _run(sandbox: Sandbox, execution: Execution, limits: Limits = _LIMITS) -> Ended | None:
    try:
        return sandbox.run([execution], limits)[0]
    except SandboxError:
        return None  # an attempt took the sandbox down


def _true(sandbox: Sandbox, code: str) -> bool:
    ended = _run(sandbox, Execution("values", values_job(code, ["attempt()"])))
    return ended is not None and [json.loads(line) for line in ended.result.splitlines()] == [
        {"loaded": True},
        [0, True],
    ]


def _honest(sandbox: Sandbox) -> Verdict:
    return Verdict("honest program", "compute, import, run a thread", _true(sandbox, HONEST))


def _stops(sandbox: Sandbox, code: str, reason: str) -> bool:
    ended = _run(sandbox, Execution("program", {"prompt": "", "solution": code}), _SHORT)
    return ended is not None and ended.stopped_by == reason


def _bounded(sandbox: Sandbox) -> bool:
    code = "import os\nwhile True:\n    os.write(1, bytes(1 << 16))"
    ended = _run(sandbox, Execution("program", {"prompt": "", "solution": code}), _SHORT)
    return ended is not None and ended.status != 0 and len(ended.stdout) <= MEBIBYTE
