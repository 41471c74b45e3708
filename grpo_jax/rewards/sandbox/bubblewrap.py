# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The bubblewrap command: fresh namespaces, and a read-only root that holds nothing but a bare Python.

No /proc, no /dev, no /tmp, no network. Started by root, the mounts are made without a user namespace and the zygote
changes to an unprivileged user before anything else (in a user namespace it would keep the real user 0, which the
kernel exempts from the limit on processes). Started by another user, a user namespace maps it.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from grpo_jax.rewards.sandbox.interpreter_files import INSIDE, PACKAGE_ROOT, find_interpreter_files

MOUNT_POINT = "/sandbox"
"""Where the code of `inside/` stands in the sandbox."""
NOBODY = 65534


def path() -> str | None:
    """The program's path; None where it is not installed."""
    return shutil.which("bwrap")


def wrapped(command: Sequence[str], environment: dict[str, str]) -> list[str]:
    """A command line that runs `command` inside.

    Raises:
        FileNotFoundError: bubblewrap is not installed.
    """
    program = path()
    if program is None:
        raise FileNotFoundError("bwrap is not installed")
    files = find_interpreter_files()
    line = [program, "--die-with-parent", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--clearenv", "--cap-drop", "ALL"]
    if os.getuid() == 0:
        line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        line += ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    for name, value in environment.items():
        line += ["--setenv", name, value]
    mounts = [(source, source) for source in (files.library, files.executable, *files.shared)]
    mounts.append((INSIDE, Path(MOUNT_POINT) / INSIDE.relative_to(PACKAGE_ROOT)))
    # Parents that bubblewrap makes by itself are closed to other users.
    parents = {parent for _, target in mounts for parent in target.parents}
    for parent in sorted(parents - {Path("/")}, key=lambda folder: len(folder.parts)):
        line += ["--perms", "0755", "--dir", str(parent)]
    for source, target in mounts:
        line += ["--ro-bind", str(source), str(target)]
    for hidden in files.left_out:
        line += ["--tmpfs", str(hidden), "--remount-ro", str(hidden)]
    return [*line, "--chdir", "/", "--remount-ro", "/", "--", *command]
