# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How a step's groups are split into the batches of its updates, and what was learned goes back to its completion.

A batch holds whole fresh groups and, after them, an equal share of the places for replayed ones. How many there are of
both does not change from step to step, so neither does the compiled program; places left over hold nothing that counts.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from grpo_jax.config import RunConfig
from grpo_jax.records import Problem, Prompt, RolloutGroup
from grpo_jax.rollout.group_filter import Judged
from grpo_jax.rollout.packing import GroupTerms, PackingPlan, TrainBatch, lay_out_advantages, pack
from grpo_jax.rollout.replay import ReplayedGroup


class Minibatches:
    """The batches of one step, one for each of `training.minibatches`."""

    def __init__(
        self,
        config: RunConfig,
        plan: PackingPlan,
        groups: Sequence[RolloutGroup],
        replayed: Sequence[ReplayedGroup] = (),
    ):
        """Decide which group is in which batch.

        Args:
            config: The run.
            plan: Shapes and normaliser.
            groups: Fresh ones.
            replayed: At most `replay.groups_per_step`.
        """
        self._config, self._plan = config, plan
        self._group_size, num_batches = config.sampling.group_size, config.training.minibatches
        self._places = config.replay.places(self._group_size)
        nothing = _nothing(next(iter(config.domains)), plan.pad_id)
        empty = [nothing] * (config.replay.groups_per_step - len(replayed))
        fresh_parts = np.array_split(np.arange(len(groups)), num_batches)
        replay_parts = np.array_split(np.arange(config.replay.groups_per_step), num_batches)
        added = [*replayed, *empty]
        self._fresh = fresh_parts
        self._replayed = [[added[r] for r in part] for part in replay_parts]
        self._groups = [
            [*(groups[g] for g in fresh), *(own.group for own in again)]
            for fresh, again in zip(self._fresh, self._replayed, strict=True)
        ]
        self._terms = [
            [self._terms_of(group, replayed=number >= len(fresh)) for number, group in enumerate(chosen)]
            for fresh, chosen in zip(self._fresh, self._groups, strict=True)
        ]

    def pack(self, judged: Judged) -> list[TrainBatch]:
        """The batches as host arrays, with the given advantages of the fresh groups."""
        return [
            pack(
                groups,
                self._advantages(judged, b),
                [*judged.trained[self._fresh[b]], *(np.ones(len(r.group.rollouts), bool) for r in self._replayed[b])],
                terms,
                self._plan,
            )
            for b, (groups, terms) in enumerate(zip(self._groups, self._terms, strict=True))
        ]

    def lay_out_advantages(self, packed: Sequence[TrainBatch], judged: Judged) -> list[Float32[np.ndarray, "M B R C"]]:
        """The advantages of batches that were packed with others."""
        return [
            lay_out_advantages(batch, self._advantages(judged, b), terms)
            for b, (batch, terms) in enumerate(zip(packed, self._terms, strict=True))
        ]

    def by_group(self, by_batch: Sequence[Any]) -> Any:
        """Values [M, B, R, ...] of each batch as one array [fresh groups, members, ...]; or pytrees of them.

        Values of tokens are padded with zeros to those of the longest batch.
        """
        return jax.tree.map(
            lambda *leaves: _joined(
                [
                    leaf.reshape(-1, *leaf.shape[3:])[: len(fresh) * self._group_size].reshape(
                        len(fresh), self._group_size, *leaf.shape[3:]
                    )
                    for leaf, fresh in zip(leaves, self._fresh, strict=True)
                ]
            ),
            *by_batch,
        )

    def contents(self, b: int) -> list[tuple[RolloutGroup, bool]]:
        """The groups of a batch, and whether each is replayed; places for replayed groups that are empty left out."""
        fresh = len(self._fresh[b])
        pairs = [(group, number >= fresh) for number, group in enumerate(self._groups[b])]
        return [(group, replayed) for group, replayed in pairs if group.rollouts]

    def by_fresh_group(self, b: int, leaf: np.ndarray) -> np.ndarray:
        """Values [M, B, R] of one batch as [its fresh groups, members]."""
        fresh = len(self._fresh[b])
        return leaf.reshape(-1)[: fresh * self._group_size].reshape(fresh, self._group_size)

    def by_replayed_group(self, by_batch: Sequence[Any]) -> Any:
        """Values [M, B, R] of each batch as one array [places for groups, places in each]; or pytrees of them."""

        def of(leaf: np.ndarray, fresh: np.ndarray, count: int) -> np.ndarray:
            num_responses = leaf.shape[2]
            room = -(-self._places // num_responses) * num_responses
            start = len(fresh) * self._group_size
            return leaf.reshape(-1)[start : start + count * room].reshape(count, room)[:, : self._places]

        counts = [len(replayed) for replayed in self._replayed]
        return jax.tree.map(
            lambda *leaves: np.concatenate([of(*each) for each in zip(leaves, self._fresh, counts, strict=True)]),
            *by_batch,
        )

    def _advantages(self, judged: Judged, b: int) -> list[np.ndarray]:
        """Of each group of a batch those of its completions or, where they differ, of their tokens."""
        fresh = judged.advantages if judged.token_advantages is None else judged.token_advantages
        return [*fresh[self._fresh[b]], *(own.advantages for own in self._replayed[b])]

    def _terms_of(self, group: RolloutGroup, replayed: bool) -> GroupTerms:
        name = group.prompt.problem.domain
        return GroupTerms(
            domain=[*self._config.domains].index(name),
            temperature=self._config.temperature_of_prompt(group.prompt),
            loss_weight=self._config.domains[name].loss_weight,
            places=self._places if replayed else self._group_size,
            replayed=replayed,
        )


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    longest = max(part.shape[2:] for part in parts)
    widths = [
        [(0, 0), (0, 0), *((0, most - own) for most, own in zip(longest, p.shape[2:], strict=True))] for p in parts
    ]
    return np.concatenate([np.pad(part, width) for part, width in zip(parts, widths, strict=True)])


def _nothing(domain: str, pad_id: int) -> ReplayedGroup:
    """Fills a place for a replayed group: a prompt of one token and no rollout."""
    prompt = Prompt(Problem("", domain, messages=(), ground_truth=None), np.array([pad_id], np.int32), temperature=1.0)
    return ReplayedGroup(RolloutGroup(prompt, ()), np.zeros((0, 1), np.float32), policy_version=0)
