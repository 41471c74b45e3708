# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The one sandbox of a worker process: started at warm-up, replaced when lost."""

import json
from collections.abc import Sequence
from typing import cast

from grpo_jax.rewards.sandbox.inside.limits import Limits
from grpo_jax.rewards.sandbox.self_test import HONEST, values_job
from grpo_jax.rewards.sandbox.supervisor import Backend, Ended, Execution, Sandbox, SandboxError

_current: Sandbox | None = None


def start(backend: str) -> None:
    """Start this process's sandbox; nothing to do where it runs already.

    Args:
        backend: What `selection.select_backend` returned.

    Raises:
        ValueError: `auto`, which is a wish and no backend.
        SandboxError: It does not start.
    """
    global _current
    if backend not in ("bubblewrap", "landlock", "none"):
        raise ValueError(f"sandbox backend {backend!r} must be resolved by select_backend first")
    if _current is not None and _current.backend == backend:
        return
    stop()
    _current = Sandbox(cast(Backend, backend))


def stop() -> None:
    """Kill this process's sandbox; safe to repeat."""
    global _current
    if _current is not None:
        _current.close()
        _current = None


def run(executions: Sequence[Execution], limits: Limits) -> list[Ended] | None:
    """Run in this process's sandbox, a second time where the first one took the sandbox down.

    Returns:
        How the processes ended; None where the same program was lost twice while an honest one runs, which makes the
        program guilty.

    Raises:
        SandboxError: No sandbox was started, or it fails on the honest program too.
    """
    if _current is None:
        raise SandboxError("no sandbox was started in this process; session.start(backend) comes first")
    for _ in range(2):
        try:
            return _current.run(executions, limits)
        except SandboxError:
            continue
    probe = _current.run([Execution("values", values_job(HONEST, ["attempt()"]))], Limits())[0]
    if [0, True] not in [json.loads(line) for line in probe.result.splitlines()]:
        raise SandboxError(f"backend {_current.backend!r} fails on an honest program")
    return None
