# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Solved rollouts of hard problems, kept on the host to be learned from again (https://arxiv.org/abs/2507.07451).

Kept are the solved rollouts of groups that solved at most `max_solve_rate` of a problem, with the log-probabilities
that they were sampled with (β) and the advantages that they had in the group, and under the weights, they came from
(Â). A replayed token's loss is, with o the policy before the step's updates, ℓ the one being trained, sg = no gradient:

    min(exp(sg(o) - β), max_importance_weight) · [L(exp(ℓ - o), Â) + KL term - entropy term]

L is the run's own policy loss, clipped about o and not about β, so that a rollout's age does not use its trust region
up (decoupled PPO, https://arxiv.org/abs/2110.00641); the weight makes up for β, as of a sampler that lags behind
(truncated importance sampling, https://arxiv.org/abs/1802.01561). Replayed completions count in the loss's normaliser
like fresh ones, and in no metric of the fresh ones.

What is kept follows from the run's rollouts alone, and the choice of a step from (seed, step, problem), so a run that
goes on from a checkpoint with the buffer's `state` repeats an unbroken one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from grpo_jax.config import RunConfig
from grpo_jax.records import Completion, Problem, Prompt, Reward, RewardStatus, Rollout, RolloutGroup
from grpo_jax.rollout.group_filter import Judged
from grpo_jax.rollout.packed_arrays import pack_arrays, unpack_arrays


@dataclass(frozen=True)
class ReplayedGroup:
    """The solved rollouts of one hard problem.

    Attributes:
        group: Prompt, with the temperature it was sampled at, and solved rollouts; texts and problem data left out.
        advantages: Of each token as it was when the rollouts were fresh; 0 in padding.
        policy_version: That sampled the oldest of them.
    """

    group: RolloutGroup
    advantages: Float32[np.ndarray, "G C"]
    policy_version: int


class ReplayBuffer:
    """The newest solved rollouts of each hard problem, at most `replay.capacity` problems."""

    def __init__(self, config: RunConfig):
        self._config, self._settings = config, config.replay
        self._kept: dict[str, ReplayedGroup] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def choose(self, step: int, policy_version: int) -> list[ReplayedGroup]:
        """Drop what is stale, then draw the step's groups without repeats, each problem equally likely.

        Args:
            step: Of the outer loop.
            policy_version: Of the weights about to be updated.
        """
        oldest = policy_version - self._settings.max_staleness
        self._kept = {name: own for name, own in self._kept.items() if own.policy_version >= oldest}
        ranked = sorted(self._kept, key=lambda name: _lot(self._config.seed, step, name))
        return [self._kept[name] for name in ranked[: self._settings.groups_per_step]]

    def observe(self, groups: Sequence[RolloutGroup], judged: Judged) -> None:
        """Take in a step's fresh groups: keep those of hard problems, let go of problems that are hard no more.

        A group without a solved rollout says nothing new: what is kept of its problem stays until it is stale.
        """
        if not self._settings.groups_per_step:
            return
        for g, group in enumerate(groups):
            name, valid = group.prompt.problem.id, judged.valid[g]
            solved = valid & [rollout.reward.status is RewardStatus.PASS for rollout in group.rollouts]
            if solved.sum() > self._settings.max_solve_rate * valid.sum() + 1e-9:
                self._kept.pop(name, None)
                continue
            chosen = np.flatnonzero(solved & judged.trained[g])
            if len(chosen) and not judged.zero_variance[g]:
                self._kept[name] = self._reduced(group, chosen, judged, g)
        by_age = sorted(self._kept, key=lambda name: (self._kept[name].policy_version, name))
        for name in by_age[: max(0, len(by_age) - self._settings.capacity)]:
            del self._kept[name]

    def state(self) -> dict[str, Any]:
        """All that is kept, as JSON values; the arrays are one compressed block."""
        if not self._kept:
            return {"groups": []}
        kept = [*self._kept.values()]
        rollouts = [rollout for own in kept for rollout in own.group.rollouts]
        lengths = [len(rollout.completion.token_ids) for rollout in rollouts]
        advantages = [row for own in kept for row in own.advantages]
        arrays = {
            "prompt_ids": np.concatenate([own.group.prompt.token_ids for own in kept]),
            "token_ids": np.concatenate([rollout.completion.token_ids for rollout in rollouts]),
            "sampler_logprobs": np.concatenate([rollout.completion.sampler_logprobs for rollout in rollouts]),
            "truncated_logprobs": np.concatenate([rollout.completion.truncated_logprobs for rollout in rollouts]),
            "turns": np.concatenate([rollout.completion.turn_of_token for rollout in rollouts]),
            "advantages": np.concatenate([row[:length] for row, length in zip(advantages, lengths, strict=True)]),
        }
        return {"groups": [_described(own) for own in kept], "arrays": pack_arrays(arrays)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` told; rollouts longer than the config now allows are left behind."""
        self._kept = {}
        if not state["groups"]:
            return
        streams = {name: _Stream(values) for name, values in unpack_arrays(state["arrays"]).items()}
        for described in state["groups"]:
            own = _rebuilt(described, streams)
            if self._fits(own):
                self._kept[described["id"]] = own

    def _reduced(self, group: RolloutGroup, chosen: np.ndarray, judged: Judged, g: int) -> ReplayedGroup:
        prompt = group.prompt
        rollouts = [group.rollouts[member] for member in chosen]
        lengths = [len(rollout.completion.token_ids) for rollout in rollouts]
        advantages = np.zeros((len(chosen), max(lengths)), np.float32)
        for row, member, length in zip(advantages, chosen, lengths, strict=True):
            tokens = judged.token_advantages
            row[:length] = judged.advantages[g, member] if tokens is None else tokens[g, member, :length]
        reduced = _group(
            prompt.problem.id,
            prompt.problem.domain,
            prompt.token_ids,
            self._config.temperature_of_prompt(prompt),
            [(r.completion, r.reward.total, r.policy_version) for r in rollouts],
        )
        return ReplayedGroup(reduced, advantages, min(rollout.policy_version for rollout in rollouts))

    def _fits(self, own: ReplayedGroup) -> bool:
        longest = max(len(rollout.completion.token_ids) for rollout in own.group.rollouts)
        domain = own.group.prompt.problem.domain
        return (
            len(own.group.rollouts) <= self._settings.places(self._config.sampling.group_size)
            and longest <= self._config.max_completion_tokens_of(domain)
            and len(own.group.prompt.token_ids) <= self._config.data.max_prompt_tokens
        )


class _Stream:
    """Hands out an array piece by piece."""

    def __init__(self, values: np.ndarray):
        self._values, self._position = values, 0

    def take(self, count: int) -> np.ndarray:
        start, self._position = self._position, self._position + count
        return self._values[start : self._position]


def _lot(seed: int, step: int, name: str) -> bytes:
    return hashlib.blake2b(f"replay/{seed}/{step}/{name}".encode(), digest_size=16).digest()


def _group(
    name: str,
    domain: str,
    prompt_ids: np.ndarray,
    temperature: float,
    rollouts: Sequence[tuple[Completion, float | None, int]],
) -> RolloutGroup:
    prompt = Prompt(Problem(name, domain, messages=(), ground_truth=None), prompt_ids, temperature=temperature)
    return RolloutGroup(
        prompt,
        tuple(Rollout(own, "", Reward(RewardStatus.PASS, total, {}), version) for own, total, version in rollouts),
    )


def _described(own: ReplayedGroup) -> dict[str, Any]:
    prompt = own.group.prompt
    return {
        "id": prompt.problem.id,
        "domain": prompt.problem.domain,
        "temperature": prompt.temperature,
        "prompt_tokens": len(prompt.token_ids),
        "rollouts": [
            {
                "tokens": len(rollout.completion.token_ids),
                "finish_reason": rollout.completion.finish_reason,
                "total": rollout.reward.total,
                "policy_version": rollout.policy_version,
            }
            for rollout in own.group.rollouts
        ],
    }


def _rebuilt(described: Mapping[str, Any], streams: Mapping[str, _Stream]) -> ReplayedGroup:
    lengths = [rollout["tokens"] for rollout in described["rollouts"]]
    advantages = np.zeros((len(lengths), max(lengths)), np.float32)
    rollouts = []
    for row, rollout in zip(advantages, described["rollouts"], strict=True):
        length = rollout["tokens"]
        completion = Completion(
            token_ids=streams["token_ids"].take(length),
            sampler_logprobs=streams["sampler_logprobs"].take(length),
            finish_reason=rollout["finish_reason"],
            truncated_logprobs=streams["truncated_logprobs"].take(length),
            turns=streams["turns"].take(length),
        )
        row[:length] = streams["advantages"].take(length)
        rollouts.append((completion, rollout["total"], rollout["policy_version"]))
    prompt_ids = streams["prompt_ids"].take(described["prompt_tokens"])
    group = _group(described["id"], described["domain"], prompt_ids, described["temperature"], rollouts)
    return ReplayedGroup(group, advantages, min(version for _, _, version in rollouts))
