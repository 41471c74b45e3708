# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Dynamic sampling (DAPO, https://arxiv.org/abs/2503.14476): groups without a signal give way to fresh prompts.

A group whose valid rewards are all equal teaches nothing. It is replaced, whole, by a group of the same domain that has
a signal, so that the mix of what is trained on stays exact. Each round samples as many fresh prompts as groups are
wanting, rounded up to a power of two (few shapes, few compiled programs); the spare ones serve where others fail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from grpo_jax.objective.advantages import zero_variance_groups
from grpo_jax.records import Prompt, RolloutGroup
from grpo_jax.rollout.collector import Collected


@dataclass(frozen=True)
class Refilled:
    """A step's rollouts after replacement.

    Attributes:
        collected: The groups to learn from, in the places of the ones they replace; tokens and times of all rounds.
        discarded: Groups that were sampled and are not learned from.
        rounds: Rounds of replacement.
    """

    collected: Collected
    discarded: tuple[RolloutGroup, ...]
    rounds: int


def refill(
    collected: Collected,
    draw: Callable[[Sequence[Prompt]], Sequence[Prompt]],
    collect: Callable[[Sequence[Prompt]], Collected],
    max_rounds: int,
) -> Refilled:
    """Replace groups without a signal, for as long as there are any and rounds are left.

    Args:
        collected: What the step sampled at first.
        draw: The next prompt of the same domain for each of the given ones.
        collect: Samples and scores prompts with the same weights.
        max_rounds: After these the groups that still lack a signal stay.
    """
    groups = list(collected.groups)
    discarded: list[RolloutGroup] = []
    rounds = 0
    while rounds < max_rounds and (wanting := [i for i, group in enumerate(groups) if not has_signal(group)]):
        rounds += 1
        asked = [groups[wanting[i % len(wanting)]].prompt for i in range(_padded(len(wanting), len(groups)))]
        extra = collect(draw(asked))
        for candidate in extra.groups:
            place = next((i for i in wanting if _fits(candidate, groups[i])), None) if has_signal(candidate) else None
            if place is None:
                discarded.append(candidate)
                continue
            discarded.append(groups[place])
            groups[place] = candidate
            wanting.remove(place)
        collected = replace(
            collected,
            sampled_tokens=collected.sampled_tokens + extra.sampled_tokens,
            sampling_seconds=collected.sampling_seconds + extra.sampling_seconds,
            reward_wait_seconds=collected.reward_wait_seconds + extra.reward_wait_seconds,
        )
    return Refilled(replace(collected, groups=tuple(groups)), tuple(discarded), rounds)


def has_signal(group: RolloutGroup) -> bool:
    """Whether at least two valid rewards of the group differ: max - min of the raw totals is not 0."""
    totals = [rollout.reward.total for rollout in group.rollouts]
    valid = np.array([[total is not None for total in totals]])
    rewards = np.array([[np.nan if total is None else total for total in totals]], np.float64)
    return bool(valid.sum() >= 2 and not zero_variance_groups(rewards, valid)[0])


def _fits(candidate: RolloutGroup, place: RolloutGroup) -> bool:
    return candidate.prompt.problem.domain == place.prompt.problem.domain


def _padded(count: int, most: int) -> int:
    return min(1 << (count - 1).bit_length(), most)
