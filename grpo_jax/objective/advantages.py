# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From the rewards of a group to advantages, on the host in float64.

Whose definition each method follows, for a group of valid rewards r with mean μ and standard deviation σ:

    group_std      (r - μ) / (σ + epsilon)   TRL `scale_rewards="group"`: ddof 1, epsilon 1e-4 (our defaults). verl,
                                             tunix and slime use ddof 1 and epsilon 1e-6, EasyDeL ddof 0 and 1e-4.
                                             https://arxiv.org/abs/2402.03300
    group_mean     r - μ                     Dr. GRPO, https://arxiv.org/abs/2503.20783
    leave_one_out  r - mean of the others    RLOO, https://arxiv.org/abs/2402.14740; verl's (r - μ) n / (n - 1) is equal

A member whose checker failed has no reward: it takes no part in μ, σ or n, and gets advantage 0.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32

AdvantageMethod = Literal["group_std", "group_mean", "leave_one_out"]


def group_advantages(
    rewards: Float[np.ndarray, "P G"],
    valid: Bool[np.ndarray, "P G"],
    method: AdvantageMethod,
    epsilon: float = 1e-4,
    ddof: int = 1,
) -> tuple[Float32[np.ndarray, "P G"], Bool[np.ndarray, "P G"]]:
    """Compare every completion with the valid members of its group.

    A completion is inactive when it is invalid, when its group has fewer than two valid members, or when all valid
    rewards of its group are equal (`zero_variance_groups`). Inactive completions have advantage exactly 0, so they
    add nothing to the policy term. Being inactive does not take a completion out of the loss: TRL keeps such rows in
    the mask, so their tokens count in the normaliser of `aggregation.token_weights` and their KL term pulls. Whoever
    wants them out (DAPO's dynamic sampling) clears their mask before the weights are computed.

    Args:
        rewards: Total reward of each completion; what stands at invalid places is ignored and may be NaN.
        valid: Whether the completion has a reward.
        method: One of the definitions in the module's docstring.
        epsilon: `group_std` only: added to σ.
        ddof: `group_std` only: 1 divides the squared deviations by n - 1, 0 by n.

    Returns:
        The advantages, finite everywhere, and whether each completion is active.

    Raises:
        ValueError: Shapes differ, a valid reward is not finite, or `method` or `ddof` is unknown.
    """
    if ddof not in (0, 1):
        raise ValueError(f"ddof={ddof} must be 0 or 1")
    values, count = _valid_values(rewards, valid)
    # A group that cannot be compared divides by 1 instead of by 0; its result is set to 0 below.
    comparable = (count >= 2) & ~zero_variance_groups(rewards, valid)
    safe_count = np.where(comparable, count, 2)[:, None]
    centred = np.where(valid, values - values.sum(axis=1, keepdims=True) / np.maximum(count, 1)[:, None], 0.0)
    if method == "group_std":
        variance = np.square(centred).sum(axis=1, keepdims=True) / (safe_count - ddof)
        scaled = centred / (np.sqrt(np.where(comparable[:, None], variance, 1.0)) + epsilon)
    elif method == "group_mean":
        scaled = centred
    elif method == "leave_one_out":
        scaled = centred * safe_count / (safe_count - 1)
    else:
        raise ValueError(f"advantage method {method!r} is unknown; use group_std, group_mean or leave_one_out")
    active = valid & comparable[:, None]
    return np.where(active, scaled, 0.0).astype(np.float32), active


def zero_variance_groups(rewards: Float[np.ndarray, "P G"], valid: Bool[np.ndarray, "P G"]) -> Bool[np.ndarray, " P"]:
    """Groups with two or more valid members whose rewards are all equal: max - min of the raw values is exactly 0.

    Deciding on raw rewards keeps the rounding of a mean (0.1 + 0.1 + 0.1 is not 0.3) out of the verdict. Groups with
    fewer than two valid members are not zero-variance: they have nothing to compare.
    """
    values, count = _valid_values(rewards, valid)
    highest = np.where(valid, values, -np.inf).max(axis=1)
    lowest = np.where(valid, values, np.inf).min(axis=1)
    return (count >= 2) & (highest == lowest)


def _valid_values(rewards: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rewards as float64 with 0 at invalid places, and the number of valid members of each group."""
    if rewards.shape != valid.shape or rewards.ndim != 2:
        raise ValueError(f"rewards {rewards.shape} and valid {valid.shape} must both be [prompts, group]")
    values = np.where(valid, rewards, 0.0).astype(np.float64)
    if not np.isfinite(values).all():
        prompt, member = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"reward of prompt {prompt}, completion {member} is {values[prompt, member]}, not finite")
    return values, valid.sum(axis=1)
