# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""`grpo-jax`, noting in a file when each stage of a step begins, so that it can be killed in the middle of one."""

import os
import sys
import time

STAGES = "KILL_MATRIX_STAGES"
"""Environment variable: the file of notes."""


def note(stage: str) -> None:
    """Append one line, `SECONDS STAGE`; the clock is the monotonic one of this host."""
    line = f"{time.monotonic():.4f} {stage}\n".encode()
    descriptor = os.open(os.environ[STAGES], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def main() -> int:
    """Run the command line given."""
    from grpo_jax.cli import main as run_command
    from grpo_jax.tracking.progress import Progress

    show = Progress.stage

    def stage(self: Progress, name: str) -> None:
        note(name)
        show(self, name)

    Progress.stage = stage
    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
