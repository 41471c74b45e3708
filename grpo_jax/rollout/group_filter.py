# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which completions are learned from, and how strongly: shaped rewards, advantages, and the handling of `invalid`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from grpo_jax.config import Domain, RunConfig
from grpo_jax.objective.advantages import (
    group_advantages,
    part_advantages,
    whitened_token_advantages,
    zero_variance_groups,
)
from grpo_jax.objective.overlong import soft_overlong_penalty
from grpo_jax.objective.presets import ResolvedObjective
from grpo_jax.records import RolloutGroup
from grpo_jax.rollout.credit import credit_turns


@dataclass(frozen=True)
class Judged:
    """What a step's groups are worth to the update.

    Attributes:
        rewards: Totals after the punishment of overlong completions; NaN where invalid.
        valid: Completions with a reward, in groups with at least two of them.
        trained: False takes a completion out of the loss and of its counts.
        zero_variance: Groups whose valid rewards, before any shaping, are all equal.
        advantages: Of each completion, scaled by its domain; 0 where it is invalid or its group has no variance. Where
            its tokens differ the mean over them.
        token_advantages: Of each token; only where a completion's tokens differ (`whitened`, or credit by turn).
    """

    rewards: Float64[np.ndarray, "P G"]
    valid: Bool[np.ndarray, "P G"]
    trained: Bool[np.ndarray, "P G"]
    zero_variance: Bool[np.ndarray, " P"]
    advantages: Float32[np.ndarray, "P G"]
    token_advantages: Float32[np.ndarray, "P G C"] | None = None


def judge(
    groups: Sequence[RolloutGroup],
    config: RunConfig,
    objective: ResolvedObjective,
    penalties: Float[np.ndarray, "P G C"] | None = None,
    domains: Mapping[str, Domain] | None = None,
) -> Judged:
    """Compare completions by the run's definition of an advantage.

    A completion whose checker failed is never trained on and does not count in its group's mean; groups with fewer than
    two valid members, and with `rewards.on_invalid=drop_group` those with any invalid one, are left out whole.

    Args:
        groups: All of the same group size.
        config: Domains' limits, scales and reward weights.
        objective: The run's objective, resolved.
        penalties: What each token costs its completion's reward, for example a KL term; 0 in padding.
        domains: With the weights of the reward parts as they were when the groups were scored, for an advantage by
            part; default those of the config.

    Raises:
        RuntimeError: No completion of the step has a reward.
    """
    raw = np.array([[_total(rollout.reward.total) for rollout in group.rollouts] for group in groups], np.float64)
    valid = np.isfinite(raw)
    if not valid.any():
        reason = groups[0].rollouts[0].reward.reason
        raise RuntimeError(f"every completion of the step was invalid: the checkers failed, first with {reason!r}")
    if config.rewards.on_invalid == "drop_group":
        valid &= valid.all(axis=1, keepdims=True)
    valid &= valid.sum(axis=1, keepdims=True) >= 2
    zero_variance = zero_variance_groups(raw, valid)
    lengths = np.array([[len(r.completion.token_ids) for r in group.rollouts] for group in groups])
    rewards = _shaped(raw, lengths, groups, config, objective)
    trained = valid.copy()
    if objective.mask_truncated:
        trained &= [[r.completion.finish_reason != "length" for r in group.rollouts] for group in groups]
    scale = np.array([config.domains[group.prompt.problem.domain].advantage_scale for group in groups], np.float32)
    tokens = None
    if objective.advantage == "whitened":
        if penalties is None:
            penalties = np.zeros((*lengths.shape, int(lengths.max())), np.float32)
        mask = valid[..., None] & _sampled(groups, penalties.shape[-1])
        tokens = scale[:, None, None] * whitened_token_advantages(rewards, penalties, mask)
        advantages = tokens.sum(axis=-1) / np.maximum(mask.sum(axis=-1), 1)
    else:
        if penalties is not None:
            rewards = rewards - penalties.astype(np.float64).sum(axis=-1)
        if config.rollout.credit == "end":
            advantages = scale[:, None] * _compare(
                rewards, valid, zero_variance, groups, domains or config.domains, objective
            )
        else:
            credited = credit_turns(groups, rewards, valid, config, objective)
            tokens, zero_variance = scale[:, None, None] * credited.token_advantages, credited.zero_variance
            advantages = scale[:, None] * credited.advantages
    return Judged(rewards, valid, trained, zero_variance, advantages.astype(np.float32), tokens)


def _sampled(groups: Sequence[RolloutGroup], num_tokens: int) -> Bool[np.ndarray, "P G C"]:
    """Tokens that the policy sampled."""
    mask = np.zeros((len(groups), len(groups[0].rollouts), num_tokens), bool)
    for own, group in zip(mask, groups, strict=True):
        for row, rollout in zip(own, group.rollouts, strict=True):
            row[: len(rollout.completion.token_ids)] = rollout.completion.sampled
    return mask


def _total(total: float | None) -> float:
    return np.nan if total is None else total


def _shaped(
    raw: Float64[np.ndarray, "P G"],
    lengths: np.ndarray,
    groups: Sequence[RolloutGroup],
    config: RunConfig,
    objective: ResolvedObjective,
) -> Float64[np.ndarray, "P G"]:
    if not objective.overlong_buffer_tokens:
        return raw
    limits = np.array([[config.max_completion_tokens_of(group.prompt.problem.domain)] for group in groups])
    return raw + soft_overlong_penalty(lengths, limits, objective.overlong_buffer_tokens, objective.overlong_penalty)


def _compare(
    rewards: Float64[np.ndarray, "P G"],
    valid: Bool[np.ndarray, "P G"],
    zero_variance: Bool[np.ndarray, " P"],
    groups: Sequence[RolloutGroup],
    domains: Mapping[str, Domain],
    objective: ResolvedObjective,
) -> Float32[np.ndarray, "P G"]:
    epsilon, ddof = objective.advantage_epsilon, objective.advantage_ddof
    if objective.advantage != "part_std":
        return group_advantages(rewards, valid, objective.advantage, epsilon, ddof)[0]
    names = dict.fromkeys(name for domain in domains.values() for name in domain.rewards)
    own = [domains[group.prompt.problem.domain] for group in groups]
    parts = {
        name: np.array([[r.reward.parts.get(name, 0.0) for r in group.rollouts] for group in groups]) for name in names
    }
    weights = {name: np.array([domain.rewards.get(name, 0.0) for domain in own]) for name in names}
    advantages = part_advantages(parts, weights, valid, epsilon, ddof)
    return np.where(zero_variance[:, None], 0.0, advantages).astype(np.float32)
