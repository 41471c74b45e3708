# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A reward module whose workers cannot start while the file named in an environment variable exists."""

import os
from pathlib import Path

from grpo_jax.config import RewardsConfig
from grpo_jax.records import Problem

VARIABLE = "GRPO_JAX_TEST_BROKEN_HOST"


def warm_up(settings: RewardsConfig) -> None:
    """Fail as a missing system library would."""
    if Path(os.environ[VARIABLE]).exists():
        print("a line printed before the failure")
        raise OSError("libexample.so is missing")


def break_host(problem: Problem, completion: str) -> float:
    """Lose this worker and every later one."""
    Path(os.environ[VARIABLE]).touch()
    os._exit(3)
