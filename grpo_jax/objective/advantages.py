# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From rewards to advantages, on the host in float64.

Whose definition each method follows, for the valid rewards r of a group with mean μ and standard deviation σ, and S the
standard deviation over the valid rewards of the whole step:

    group_std          (r - μ) / (σ + epsilon)       TRL `scale_rewards="group"`: ddof 1, epsilon 1e-4 (our defaults).
                                                     verl, tunix and slime use ddof 1 and epsilon 1e-6, EasyDeL ddof 0
                                                     and 1e-4. https://arxiv.org/abs/2402.03300
    group_mean         r - μ                         Dr. GRPO, https://arxiv.org/abs/2503.20783; prime-rl
    batch_std          (r - μ) / (S + epsilon)       TRL `scale_rewards="batch"`, https://arxiv.org/abs/2508.08221
    leave_one_out      r - mean of the others        RLOO, https://arxiv.org/abs/2402.14740; verl's (r - μ) n / (n - 1)
    leave_one_out_std  the same / (σ + epsilon)      PipelineRL
    part_std           Σ weight z over the parts z-scored in their group, then z-scored over the step
                                                     TRL `normalize_then_sum`, https://arxiv.org/abs/2601.05242
    whitened           tokens' returns z-scored over all tokens of the step: `whitened_token_advantages`
                                                     REINFORCE++, https://arxiv.org/abs/2501.03262; verl
    reward             r

A member whose checker failed has no reward: it takes no part in any statistic, and gets advantage 0.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

AdvantageMethod = Literal[
    "group_std", "group_mean", "batch_std", "leave_one_out", "leave_one_out_std", "part_std", "whitened", "reward"
]

_COMPARES_MEMBERS = ("group_std", "group_mean", "batch_std", "leave_one_out", "leave_one_out_std")


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
    wants them out (DAPO's dynamic sampling) clears their mask before the weights are computed. `reward` compares
    nothing: there, every valid completion is active.

    Args:
        rewards: Total reward of each completion; what stands at invalid places is ignored and may be NaN.
        valid: Whether the completion has a reward.
        method: A definition in the module's docstring other than `part_std` and `whitened`.
        epsilon: Added to standard deviations.
        ddof: 1 divides squared deviations by n - 1, 0 by n.

    Returns:
        The advantages, finite everywhere, and whether each completion is active.

    Raises:
        ValueError: Shapes differ, a valid reward is not finite, or `method` or `ddof` is unknown.
    """
    _check_ddof(ddof)
    values, count = _valid_values(rewards, valid)
    if method == "reward":
        return np.where(valid, values, 0.0).astype(np.float32), valid.copy()
    if method not in _COMPARES_MEMBERS:
        raise ValueError(f"advantage method {method!r} is unknown; use {', '.join(_COMPARES_MEMBERS)} or reward")
    # A group that cannot be compared divides by 1 instead of by 0; its result is set to 0 below.
    comparable = (count >= 2) & ~zero_variance_groups(rewards, valid)
    safe_count = np.where(comparable, count, 2)[:, None]
    scaled = _centred(values, valid, count)
    if method in ("group_std", "leave_one_out_std"):
        variance = np.square(scaled).sum(axis=1, keepdims=True) / (safe_count - ddof)
        scaled = scaled / (np.sqrt(np.where(comparable[:, None], variance, 1.0)) + epsilon)
    elif method == "batch_std":
        scaled = scaled / (_deviation(values[valid], ddof) + epsilon)
    if method in ("leave_one_out", "leave_one_out_std"):
        scaled = scaled * safe_count / (safe_count - 1)
    active = valid & comparable[:, None]
    return np.where(active, scaled, 0.0).astype(np.float32), active


def part_advantages(
    parts: Mapping[str, Float[np.ndarray, "P G"]],
    weights: Mapping[str, Float[np.ndarray, " P"]],
    valid: Bool[np.ndarray, "P G"],
    epsilon: float = 1e-4,
    ddof: int = 1,
) -> Float32[np.ndarray, "P G"]:
    """z-score each part of the reward within its group, sum the parts by weight, z-score the sums over the step.

    A part that does not vary in a group adds nothing there, so a part of small range counts as much as one of large.

    Args:
        parts: Unweighted values by part; ignored where invalid.
        weights: What each part weighs in each group; 0 where the group's domain lacks it.
        valid: Whether the completion has a reward.
        epsilon: Added to standard deviations.
        ddof: As for `group_advantages`.

    Returns:
        Advantages, finite everywhere; 0 where invalid, and in groups with fewer than two valid members.
    """
    total = np.zeros(valid.shape)
    for name, values in parts.items():
        scores, _ = group_advantages(values, valid, "group_std", epsilon, ddof)
        total += np.asarray(weights[name], np.float64)[:, None] * scores
    usable = valid & (valid.sum(axis=1, keepdims=True) >= 2)
    if not usable.any():
        return np.zeros(valid.shape, np.float32)
    centred = total - total[usable].mean()
    return np.where(usable, centred / (_deviation(total[usable], ddof) + epsilon), 0.0).astype(np.float32)


def whitened_token_advantages(
    rewards: Float[np.ndarray, "P G"],
    penalties: Float[np.ndarray, "P G C"],
    mask: Bool[np.ndarray, "P G C"],
    epsilon: float = 1e-8,
) -> Float32[np.ndarray, "P G C"]:
    """Returns of every token, z-scored over all tokens of the step.

    A token's return is its completion's reward less the penalties from it on, undiscounted. Mean and variance (divided
    by the number of tokens less 1) are over the unmasked tokens, so long completions weigh more, as in verl's
    `compute_reinforce_plus_plus_outcome_advantage`.

    Args:
        rewards: Total reward of each completion; ignored where the mask is empty.
        penalties: What each token costs, for example coefficient x KL; ignored outside the mask.
        mask: Tokens of valid completions.
        epsilon: Added to the variance.
    """
    costs = np.where(mask, np.asarray(penalties, np.float64), 0.0)
    to_come = np.flip(np.cumsum(np.flip(costs, axis=-1), axis=-1), axis=-1)
    totals = np.where(mask.any(axis=-1), rewards, 0.0).astype(np.float64)
    returns = totals[..., None] - to_come
    chosen = returns[mask]
    if len(chosen) < 2:
        return np.zeros(mask.shape, np.float32)
    scaled = (returns - chosen.mean()) / np.sqrt(chosen.var(ddof=1) + epsilon)
    return np.where(mask, scaled, 0.0).astype(np.float32)


def zero_variance_groups(rewards: Float[np.ndarray, "P G"], valid: Bool[np.ndarray, "P G"]) -> Bool[np.ndarray, " P"]:
    """Groups with two or more valid members whose rewards are all equal: max - min of the raw values is exactly 0.

    Deciding on raw rewards keeps the rounding of a mean (0.1 + 0.1 + 0.1 is not 0.3) out of the verdict. Groups with
    fewer than two valid members are not zero-variance: they have nothing to compare.
    """
    values, count = _valid_values(rewards, valid)
    highest = np.where(valid, values, -np.inf).max(axis=1)
    lowest = np.where(valid, values, np.inf).min(axis=1)
    return (count >= 2) & (highest == lowest)


def _centred(values: Float64[np.ndarray, "P G"], valid: np.ndarray, count: np.ndarray) -> Float64[np.ndarray, "P G"]:
    mean = values.sum(axis=1, keepdims=True) / np.maximum(count, 1)[:, None]
    return np.where(valid, values - mean, 0.0)


def _deviation(values: Float64[np.ndarray, " n"], ddof: int) -> float:
    return float(values.std(ddof=ddof)) if len(values) > ddof else 0.0


def _check_ddof(ddof: int) -> None:
    if ddof not in (0, 1):
        raise ValueError(f"ddof={ddof} must be 0 or 1")


def _valid_values(rewards: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rewards as float64 with 0 at invalid places, and the number of valid members of each group."""
    if rewards.shape != valid.shape or rewards.ndim != 2:
        raise ValueError(f"rewards {rewards.shape} and valid {valid.shape} must both be [prompts, group]")
    values = np.where(valid, rewards, 0.0).astype(np.float64)
    if not np.isfinite(values).all():
        prompt, member = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"reward of prompt {prompt}, completion {member} is {values[prompt, member]}, not finite")
    return values, valid.sum(axis=1)
