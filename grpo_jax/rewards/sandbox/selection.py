# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the isolation of model-written code: the strongest backend that passes its self-test, or a refusal."""

import functools
import logging
import sys
from typing import get_args

from grpo_jax.records import ConfigError
from grpo_jax.rewards.sandbox.self_test import Verdict, holds, run_self_test
from grpo_jax.rewards.sandbox.supervisor import Backend, SandboxError

STRONGEST_FIRST: tuple[Backend, ...] = ("bubblewrap", "landlock")
_LOG = logging.getLogger(__name__)
_INSTALL = (
    "install bubblewrap (apt-get install bubblewrap; containers must allow user namespaces or run as root with "
    "CAP_SYS_ADMIN), or use a Linux kernel 5.13 or newer with Landlock"
)


@functools.cache
def examine(backend: Backend) -> tuple[list[Verdict], str]:
    """Self-test of one backend, once a process.

    Returns:
        The verdicts, and why there are none or what did not hold; empty text where the backend can be trusted.
    """
    if sys.platform != "linux":
        return [], f"needs Linux, this is {sys.platform}"
    try:
        verdicts = run_self_test(backend)
    except SandboxError as error:
        return [], str(error)
    failed = [f"{verdict.layer}: {verdict.attempt}" for verdict in verdicts if not verdict.held]
    return verdicts, "" if holds(verdicts) else f"self-test failed ({'; '.join(failed)})"


def select_backend(name: str, acknowledged: bool) -> str:
    """Settle on a backend before the first worker starts.

    Args:
        name: `auto`, or a backend's name, which then must pass its self-test.
        acknowledged: `rewards.run_unconfined_code`, without which `none` is refused.

    Returns:
        `bubblewrap`, `landlock` or `none`.

    Raises:
        ConfigError: The name is unknown, no backend passes, or `none` lacks its acknowledgement.
    """
    if name not in ("auto", *get_args(Backend)):
        raise ConfigError(f"rewards.sandbox={name!r} is unknown; valid: auto, {', '.join(get_args(Backend))}")
    if name == "none":
        if not acknowledged:
            raise ConfigError(
                "rewards.sandbox='none' runs model-written code with all rights of this user; "
                "set rewards.run_unconfined_code=true as well if that is meant"
            )
        _LOG.warning("model-written code runs without isolation")
        return name
    reasons = []
    for backend in STRONGEST_FIRST if name == "auto" else [b for b in STRONGEST_FIRST if b == name]:
        reason = examine(backend)[1]
        if not reason:
            return backend
        _LOG.warning("sandbox backend %s cannot be used: %s", backend, reason)
        reasons.append(f"{backend}: {reason}")
    raise ConfigError(f"rewards.sandbox={name!r}: no backend passes ({' | '.join(reasons)}); {_INSTALL}")
