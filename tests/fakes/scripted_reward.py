# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reward functions without any knowledge: they read the completion's characters, and the problem says what they give.

Used by file, `path/to/scripted_reward.py:share_of_plain`, so that the way of a user's own reward is tested too.
"""

import os
import time
from pathlib import Path

from grpo_jax.records import PartScore, Problem, RewardStatus

SLOW = "SCRIPTED_REWARD_SECONDS"
"""Environment variable: how long `share_of_plain` takes, where a test must meet a run in the middle of a step."""


def reward_name(function: str) -> str:
    """The name by which a config asks for a function of this file."""
    return f"{Path(__file__).resolve()}:{function}"


def share_of_plain(problem: Problem, completion: str) -> PartScore:
    """The share of ASCII characters; pass from a half on. A random model starts near a half, and learns fast."""
    time.sleep(float(os.environ.get(SLOW, "0")))
    share = sum(character.isascii() for character in completion) / len(completion) if completion else 0.0
    return PartScore(share, RewardStatus.PASS if share >= 0.5 else RewardStatus.FAIL)


def share_of_strange(problem: Problem, completion: str) -> PartScore:
    """The share of characters beyond ASCII, which pulls a model the other way."""
    share = sum(not character.isascii() for character in completion) / len(completion) if completion else 0.0
    return PartScore(share, RewardStatus.PASS if share >= 0.5 else RewardStatus.FAIL)


def length(problem: Problem, completion: str) -> float:
    """The number of characters: a part that judges no answer."""
    return float(len(completion))


def broken_checker(problem: Problem, completion: str) -> float:
    """Fail as a checker, whatever the completion."""
    raise OSError("the checker's own file is missing")


def flat_for_odd(problem: Problem, completion: str) -> PartScore:
    """No signal for problems with an odd number, the number of characters for the others."""
    odd = int(problem.ground_truth) % 2
    return PartScore(1.0 if odd else float(len(completion)) + 0.001 * sum(map(ord, completion)), RewardStatus.PASS)


def slow_for_every_fourth(problem: Problem, completion: str, *, seconds: float = 0.0) -> float:
    """Take so long for every fourth problem, and give nothing."""
    if int(problem.ground_truth) % 4 == 0:
        time.sleep(seconds)
    return 0.0
