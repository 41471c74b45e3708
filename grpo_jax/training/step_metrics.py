# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics of one step by their names in the log, computed on the host in float64."""

import resource
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from numpy.typing import ArrayLike

from grpo_jax.config import RunConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.update_flops import update_flops
from grpo_jax.records import Completion, RewardStatus, Rollout, RolloutGroup
from grpo_jax.rollout.replay import ReplayedGroup
from grpo_jax.training.learner import Learned


def reward_metrics(groups: Sequence[RolloutGroup], config: RunConfig) -> dict[str, float]:
    """Rewards, statuses and lengths by domain.

    Means of rewards and parts are over completions that have one; statuses are fractions of all completions, lengths
    are of those whose rollout function, where they have one, did not fail.
    """
    metrics: dict[str, float] = {}
    everything = [rollout for group in groups for rollout in group.rollouts]
    metrics["reward/mean"] = _mean(_totals(everything))
    if ended := _ended(everything):
        metrics["length/mean"] = _mean([own.num_sampled for own in ended])
    for name, domain in config.domains.items():
        own = [group for group in groups if group.prompt.problem.domain == name]
        rollouts = [rollout for group in own for rollout in group.rollouts]
        if not rollouts:
            continue
        if totals := _totals(rollouts):
            metrics[f"reward/{name}/mean"] = _mean(totals)
            scored = [rollout.reward for rollout in rollouts if rollout.reward.total is not None]
            for part in dict.fromkeys([*domain.rewards, *(part for reward in scored for part in reward.parts)]):
                # A part that is off in the current phase has no values.
                if values := [reward.parts[part] for reward in scored if part in reward.parts]:
                    metrics[f"reward/{name}/{part}"] = _mean(values)
        for status in RewardStatus:
            metrics[f"reward_status/{name}/{status}"] = _mean([r.reward.status == status for r in rollouts])
        if ended := _ended(rollouts):
            metrics[f"length/{name}/mean"] = _mean([own.num_sampled for own in ended])
            metrics[f"length/{name}/truncated"] = _mean([own.finish_reason == "length" for own in ended])
    return metrics


def objective_metrics(groups: Sequence[RolloutGroup], learned: Learned) -> dict[str, float]:
    """Loss, gradient, KL, clipping and sampler mismatch; token means are over all trained tokens of the step."""
    judged = learned.judged
    lengths = np.array([[r.completion.num_sampled for r in group.rollouts] for group in groups])
    tokens = np.where(judged.trained, lengths, 0)
    sums = learned.statistics

    def token_mean(values: ArrayLike, rows: np.ndarray | slice = slice(None)) -> float:
        return float(np.asarray(values, np.float64)[rows].sum() / max(tokens[rows].sum(), 1))

    metrics = {
        "objective/skipped_updates": float(learned.skipped),
        "objective/learning_rate": learned.learning_rate,
        "objective/entropy": token_mean(sums.entropy),
        "objective/clip_fraction_low": token_mean(sums.clipped_low),
        "objective/clip_fraction_high": token_mean(sums.clipped_high),
        "objective/ratio_max": float(sums.ratio_max.max()),
        "objective/zero_variance_groups": _mean(judged.zero_variance),
        "objective/advantage_abs_mean": float(np.abs(judged.advantages).mean()),
        "objective/kl_factor": learned.kl_factor,
        "kl/mean": token_mean(sums.kl),
        "mismatch/logprob_abs_mean": token_mean(sums.mismatch),
        "mismatch/logprob_abs_max": float(sums.mismatch_max.max()),
        "mismatch/kl": token_mean(sums.mismatch_kl),
        "mismatch/importance_weight": token_mean(sums.correction),
    }
    if learned.losses:  # none where every update of the step was skipped
        metrics |= {"objective/loss": _mean(learned.losses), "objective/grad_norm": _mean(learned.grad_norms)}
    domains = np.array([group.prompt.problem.domain for group in groups])
    for name in dict.fromkeys(domains.tolist()):
        metrics[f"kl/{name}"] = token_mean(sums.kl, domains == name)
        metrics[f"entropy/{name}"] = token_mean(sums.entropy, domains == name)
    return metrics


def replay_metrics(
    replayed: Sequence[ReplayedGroup], learned: Learned, size: int, policy_version: int
) -> dict[str, float]:
    """What was learned from again; nothing where replay is off.

    Args:
        replayed: Groups of the step, as they were given to the learner.
        learned: What it reported.
        size: Problems kept after the step.
        policy_version: Before the step's updates.
    """
    if not len(learned.replayed.kl):
        return {}
    metrics = {"replay/size": float(size), "replay/used": float(len(replayed))}
    if not replayed:
        return metrics
    ages = np.array([policy_version - own.policy_version for own in replayed])
    counts = np.array([len(own.group.rollouts) for own in replayed])
    tokens = np.array([sum(r.completion.num_sampled for r in own.group.rollouts) for own in replayed])
    weights, kl = (values[: len(replayed)].sum(axis=1) for values in (learned.replayed.correction, learned.replayed.kl))
    metrics["replay/rollouts"] = float(counts.sum())
    metrics["replay/staleness_mean"] = _mean(ages)
    metrics["replay/staleness_max"] = float(ages.max())
    metrics["replay/importance_weight"] = float(weights.sum() / tokens.sum())
    metrics["replay/kl"] = float(kl.sum() / tokens.sum())
    domains = np.array([own.group.prompt.problem.domain for own in replayed])
    for name in dict.fromkeys(domains.tolist()):
        own = domains == name
        metrics[f"replay/{name}/used"] = float(own.sum())
        metrics[f"replay/{name}/staleness_mean"] = _mean(ages[own])
        metrics[f"replay/{name}/importance_weight"] = float(weights[own].sum() / tokens[own].sum())
    return metrics


def utilisation_metrics(
    groups: Sequence[RolloutGroup],
    arch: Architecture,
    *,
    update_seconds: float,
    epochs: int,
    scorings: int,
    adapters_only: bool,
    device_flops: float | None,
) -> dict[str, float]:
    """`throughput/mfu`: the update's necessary FLOPs over its time and the devices' peak.

    Args:
        groups: Learned from.
        arch: The model.
        update_seconds: Wall time of scoring, packing and all updates of the step.
        epochs: Times that every group went through an update.
        scorings: Forward passes beside the updates.
        adapters_only: Adapters are trained.
        device_flops: Peak of all devices together; None, where it is not known, gives no metric.
    """
    if device_flops is None:
        return {}
    lengths = [
        (len(group.prompt.token_ids), [len(rollout.completion.token_ids) for rollout in group.rollouts])
        for group in groups
    ]
    flops = update_flops(arch, lengths, epochs=epochs, scorings=scorings, adapters_only=adapters_only)
    return {"throughput/mfu": flops / update_seconds / device_flops}


def resource_metrics(
    seconds: Mapping[str, float], sampled_tokens: int, learned_tokens: int, pool: Mapping[str, float]
) -> dict[str, float]:
    """Wall time by phase, throughput, memory and the state of the reward workers.

    Args:
        seconds: Wall time of each phase of the step; must hold `sampling` and `update`. With `rollout.max_staleness`
            sampling has in it what ran within the last step's update, so the phases may exceed the step.
        sampled_tokens: Completion tokens sampled.
        learned_tokens: Prompt and completion tokens learned from.
        pool: `RewardPool.statistics`.
    """
    metrics = {f"time/{phase}_seconds": value for phase, value in seconds.items()}
    metrics["throughput/sampled_tokens_per_second"] = sampled_tokens / seconds["sampling"]
    metrics["throughput/update_tokens_per_second"] = learned_tokens / seconds["update"]
    metrics["memory/peak_bytes"] = _peak_bytes()
    return metrics | {f"reward_workers/{name}": value for name, value in pool.items()}


def _peak_bytes() -> float:
    """Largest device memory in use on any local device; where devices do not say (CPU), of this process."""
    statistics = [device.memory_stats() for device in jax.local_devices()]
    peaks = [found["peak_bytes_in_use"] for found in statistics if found and "peak_bytes_in_use" in found]
    return float(max(peaks, default=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def _ended(rollouts: Sequence[Rollout]) -> list[Completion]:
    """Completions; of a rollout whose function failed there is none."""
    return [rollout.completion for rollout in rollouts if not rollout.end.failed]


def _totals(rollouts: Sequence[Rollout]) -> list[float]:
    """Rewards of the completions that have one."""
    return [rollout.reward.total for rollout in rollouts if rollout.reward.total is not None]


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(np.asarray(values, np.float64)))
