# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which completions are learned from, and how strongly: advantages of whole groups and the handling of `invalid`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from grpo_jax.objective.advantages import AdvantageMethod, group_advantages, zero_variance_groups
from grpo_jax.records import RolloutGroup


@dataclass(frozen=True)
class Judged:
    """What a step's groups are worth to the update.

    Attributes:
        advantages: Of each completion; 0 where it is not trained or its group has no variance.
        trained: False takes a completion out of the loss and of its counts.
        zero_variance: Groups whose valid rewards are all equal.
    """

    advantages: Float32[np.ndarray, "P G"]
    trained: Bool[np.ndarray, "P G"]
    zero_variance: Bool[np.ndarray, " P"]


def judge(groups: Sequence[RolloutGroup], method: AdvantageMethod, on_invalid: Literal["mask", "drop_group"]) -> Judged:
    """Compare completions within their groups.

    A completion whose checker failed is never trained on and does not count in its group's mean; groups with fewer than
    two valid members, and with `drop_group` those with any invalid one, are left out whole.

    Raises:
        RuntimeError: No completion of the step has a reward.
    """
    totals = [[rollout.reward.total for rollout in group.rollouts] for group in groups]
    valid = np.array([[total is not None for total in row] for row in totals])
    rewards = np.array([[np.nan if total is None else total for total in row] for row in totals], np.float64)
    if not valid.any():
        reason = groups[0].rollouts[0].reward.reason
        raise RuntimeError(f"every completion of the step was invalid: the checkers failed, first with {reason!r}")
    if on_invalid == "drop_group":
        valid &= valid.all(axis=1, keepdims=True)
    valid &= valid.sum(axis=1, keepdims=True) >= 2
    advantages, _ = group_advantages(rewards, valid, method)
    return Judged(advantages, valid, zero_variance_groups(rewards, valid))
