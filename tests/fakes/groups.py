# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Scored groups made of given token ids, for what comes after sampling."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grpo_jax.records import Completion, Problem, Prompt, Reward, RewardStatus, Rollout, RolloutGroup
from tests.fakes.byte_tokenizer import STOP_ID


def make_prompt(token_ids: Sequence[int], problem_id: str = "problem", domain: str = "plain") -> Prompt:
    """A prompt of the given ids."""
    messages = ({"role": "user", "content": problem_id},)
    return Prompt(Problem(problem_id, domain, messages, ground_truth="x"), np.asarray(token_ids, np.int32))


def make_completion(token_ids: Sequence[int], logprobs: Sequence[float] | None = None) -> Completion:
    """A completion of the given ids; without logprobs, token i has -(i + 1)."""
    ids = np.asarray(token_ids, np.int32)
    own = np.asarray(-1.0 - np.arange(len(ids)) if logprobs is None else logprobs, np.float32)
    return Completion(ids, own, "stop" if ids[-1] == STOP_ID else "length", own)


def make_reward(total: float | None, status: RewardStatus | None = None) -> Reward:
    """A reward of one part, `judge`; None is an invalid one."""
    if total is None:
        return Reward(RewardStatus.INVALID, None, {}, reason="the checker is out of order")
    given = status or (RewardStatus.PASS if total > 0 else RewardStatus.FAIL)
    return Reward(given, total, {"judge": total})


def make_group(
    prompt_ids: Sequence[int],
    completions: Sequence[Sequence[int]],
    totals: Sequence[float | None],
    problem_id: str = "problem",
    domain: str = "plain",
) -> RolloutGroup:
    """A group with one completion and one total a member."""
    rollouts = [
        Rollout(make_completion(ids), "", make_reward(total), policy_version=0)
        for ids, total in zip(completions, totals, strict=True)
    ]
    return RolloutGroup(make_prompt(prompt_ids, problem_id, domain), tuple(rollouts))


def random_groups(
    num_groups: int, group_size: int, *, longest_prompt: int, longest_completion: int, seed: int = 0
) -> list[RolloutGroup]:
    """Groups of random bytes and lengths, every second one of domain `strange`, the longest lengths present."""
    rng = np.random.default_rng(seed)

    def ids(longest: int, first: bool) -> list[int]:
        return rng.integers(0, 256, longest if first else rng.integers(1, longest + 1)).tolist()

    return [
        make_group(
            ids(longest_prompt, g == 0),
            [ids(longest_completion, g == member == 0) for member in range(group_size)],
            rng.integers(0, 3, group_size).astype(float).tolist(),
            problem_id=f"problem-{g}",
            domain=("plain", "strange")[g % 2],
        )
        for g in range(num_groups)
    ]


def with_logprobs(groups: Sequence[RolloutGroup], logprobs: Sequence[Sequence[np.ndarray]]) -> list[RolloutGroup]:
    """The same groups with other sampler logprobs, [group][member] arrays of one value a token."""

    def changed(rollout: Rollout, values: np.ndarray) -> Rollout:
        own = np.asarray(values, np.float32)
        return replace(rollout, completion=replace(rollout.completion, sampler_logprobs=own, truncated_logprobs=own))

    return [
        replace(group, rollouts=tuple(changed(*pair) for pair in zip(group.rollouts, own, strict=True)))
        for group, own in zip(groups, logprobs, strict=True)
    ]
