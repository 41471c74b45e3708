# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rewards that cost no work, one of them after a random time, as of a service that answers when it likes."""

import random
import time
import zlib

from grpo_jax.records import Problem


def share_of_vowels(problem: Problem, completion: str) -> float:
    """The share of vowels."""
    return sum(character in "aeiou" for character in completion) / max(len(completion), 1)


def after_a_wait(problem: Problem, completion: str, *, seconds: float = 2.0) -> float:
    """The share of vowels, after 0 to `seconds` seconds, which follow from problem and completion."""
    time.sleep(random.Random(zlib.crc32(f"{problem.id}/{completion}".encode())).uniform(0.0, seconds))
    return share_of_vowels(problem, completion)
