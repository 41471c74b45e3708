# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores one completion by all reward functions of its domain and adds them up."""

import math
import time

from grpo_jax.config import Domain
from grpo_jax.records import PartScore, Problem, Reward, RewardStatus
from grpo_jax.rewards.registry import one_line, resolve


def _part(name: str, problem: Problem, completion: str) -> PartScore:
    result = resolve(name).function(problem, completion)
    if isinstance(result, PartScore):
        value, status = result.value, result.status
    else:
        value, status = result, None
    number = float(value)  # accepts numpy scalars and bools; raises on what is no number
    if not math.isfinite(number):
        raise ValueError(f"returned {number}, which is not finite")
    return PartScore(number, None if status is None else RewardStatus(status))


def score(problem: Problem, completion: str, domain: Domain) -> Reward:
    """Run every reward function of a domain on one completion, in this process.

    Args:
        problem: What was asked.
        completion: Decoded text of the assistant's turn.
        domain: Names and weights of the parts, and the scale of their sum.

    Returns:
        `total` is `reward_scale` x the weighted sum of the parts. The status is that of the first part, in the order of
        `Domain.rewards`, that gives one, else pass. A part that raises, returns no finite number or says itself that
        it is invalid makes the whole reward invalid: `total` is None and `reason` says which part and why.
    """
    start = time.perf_counter()
    parts: dict[str, float] = {}
    status: RewardStatus | None = None
    total = 0.0
    for name, weight in domain.rewards.items():
        try:
            part = _part(name, problem, completion)
        except (Exception, SystemExit) as error:  # noqa: BLE001 a failed checker, however it failed, is data here
            return Reward(RewardStatus.INVALID, None, parts, time.perf_counter() - start, f"{name}: {one_line(error)}")
        if part.status is RewardStatus.INVALID:
            return Reward(RewardStatus.INVALID, None, parts, time.perf_counter() - start, f"{name}: reported invalid")
        parts[name] = part.value
        total += weight * part.value
        status = status or part.status
    return Reward(status or RewardStatus.PASS, domain.reward_scale * total, parts, time.perf_counter() - start)
