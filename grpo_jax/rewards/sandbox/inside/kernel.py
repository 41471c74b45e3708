# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The few kernel calls that Python's library does not offer: prctl, capset, Landlock and seccomp, over ctypes."""

import ctypes
import os
import platform
import signal
import struct
from typing import Any

_NUMBERS = {
    "x86_64": {"capset": 126, "seccomp": 317},
    "aarch64": {"capset": 91, "seccomp": 277},
}
_SHARED_NUMBERS = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION_3 = 0x20080522

_LIBC = ctypes.CDLL(None, use_errno=True)


def system_call(name: str, *arguments: Any) -> int:
    """Make a system call by name.

    Raises:
        OSError: It failed.
        ValueError: The machine is neither x86-64 nor arm64.
    """
    numbers = _NUMBERS.get(platform.machine())
    if numbers is None:
        raise ValueError(f"no system call numbers for {platform.machine()!r}")
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = _LIBC.syscall(ctypes.c_long({**_SHARED_NUMBERS, **numbers}[name]), *wide)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl {option}: {os.strerror(error)}")


def no_new_privileges() -> None:
    """Make set-user-id files and file capabilities ineffective from here on."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def undumpable() -> None:
    """Forbid other processes of the same user to attach, to read the memory, and to write a core."""
    _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; a change of user id would undo it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def give_up_capabilities() -> None:
    """Drop every capability of the process."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    system_call("capset", ctypes.c_char_p(header), ctypes.c_char_p(bytes(24)))


def become(user: int) -> None:
    """Change from root to another user and group for good; needs CAP_SETUID and CAP_SETGID."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
