# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Landlock: after `restrict` the process reads the given files and folders and touches nothing else.

Unprivileged, kernel 5.13 or newer. https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import struct
from collections.abc import Iterable

from grpo_jax.rewards.sandbox.inside import kernel

_GET_VERSION, _RULE_PATH_BENEATH = 1, 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All file rights that an ABI version knows; later versions add none."""
_NETWORK_ABI, _NETWORK_RIGHTS = 4, 3  # bind and connect TCP
_SCOPE_ABI, _SCOPES = 6, 3  # abstract unix sockets, signals


def abi_version() -> int:
    """Version of the kernel's Landlock interface; 0 where it has none."""
    try:
        return kernel.system_call("landlock_create_ruleset", ctypes.c_void_p(None), 0, _GET_VERSION)
    except (OSError, ValueError):
        return 0


def restrict(readable: Iterable[str], listed: Iterable[str]) -> None:
    """Confine the calling thread, and all that it starts, for good.

    Args:
        readable: Files, and folders with all below them, that may be read.
        listed: Folders whose names may be listed.

    Raises:
        OSError: The kernel has no Landlock, or a path does not exist.
    """
    version = abi_version()
    rights = _FILE_RIGHTS.get(version, _FILE_RIGHTS[5] if version else 0)
    attributes = [rights]
    attributes += [_NETWORK_RIGHTS] if version >= _NETWORK_ABI else []
    attributes += [_SCOPES] if version >= _SCOPE_ABI else []
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = kernel.system_call("landlock_create_ruleset", ctypes.c_char_p(packed), len(packed), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | (_READ_FOLDER if os.path.isdir(path) else 0))
        for path in listed:
            _allow(ruleset, path, _READ_FOLDER)
        kernel.no_new_privileges()
        kernel.system_call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, descriptor)  # struct landlock_path_beneath_attr is packed
        kernel.system_call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(descriptor)
