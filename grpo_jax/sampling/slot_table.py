# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the host knows of slots and lanes.

It is never behind on what it changed itself, and may be a chunk behind on what ended: a lane that it holds for free is
free, one that it holds for live may have ended.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32

from grpo_jax.sampling.compaction import Compaction, plan_compaction
from grpo_jax.sampling.groups import Group


class KeptSample(NamedTuple):
    """A sample that has ended and whose keys and values are still in its lane, but for its last token's."""

    sample: int
    token_ids: Int32[np.ndarray, " C"]

    def inputs_shared(self, token_ids: Int32[np.ndarray, " n"], *, whole: bool) -> int:
        """Inputs of a sample of these tokens that are there: the prompt's last token and some of its own.

        Args:
            token_ids: What is there of the sample that goes on.
            whole: Whether what is kept serves as a whole only. Behind the place where texts part, a ring has lost
                inputs that its window needs.
        """
        length = min(len(self.token_ids), len(token_ids))
        differing = np.flatnonzero(self.token_ids[:length] != token_ids[:length])
        same = int(differing[0]) if len(differing) else length
        shared = min(same + 1, len(self.token_ids), len(token_ids))
        # The prompt's last token alone is not worth another program.
        return shared if same and (shared == len(self.token_ids) or not whole) else 0


class SlotTable:
    """Prompts of the slots, and lengths of what is in the lanes.

    Attributes:
        groups: Prompt of each slot; one whose samples have all ended stays until the slot is wanted.
        live: Lanes that may hold a sample that has not ended.
        kept: What lanes (slot, lane) still have of samples that have ended, those first that ended first.
        layout: Changes with every change of the batch's shape.
    """

    def __init__(self, num_slots: int, num_lanes: int, num_shards: int):
        self._full, self._num_shards = (num_slots, num_lanes), num_shards
        self.layout = 0
        self.clear()

    def clear(self) -> None:
        """Start again with empty slots."""
        shape = self._full
        self.groups: list[Group | None] = [None] * shape[0]
        self.live: Bool[np.ndarray, "N C"] = np.zeros(shape, bool)
        self.kept: dict[tuple[int, int], KeptSample] = {}
        # Columns of each lane when the chunk of that number started.
        self._columns: Int32[np.ndarray, "N C"] = np.zeros(shape, np.int32)
        self._since: Int32[np.ndarray, "N C"] = np.zeros(shape, np.int32)
        self._refilled: Bool[np.ndarray, " N"] = np.zeros(shape[0], bool)
        # The newest chunk that was read, and the first one with the present arrangement.
        self._read, self._arranged = -1, 0
        self.layout += 1

    @property
    def shape(self) -> tuple[int, int]:
        """Slots, lanes of each."""
        return self.live.shape[0], self.live.shape[1]

    @property
    def is_shrunk(self) -> bool:
        """Whether the batch is smaller than it may be."""
        return self.shape != self._full

    @property
    def slots_a_shard(self) -> int:
        """Slots of each shard."""
        return len(self.groups) // self._num_shards

    def slots_of(self, group: Group) -> list[int]:
        """Slots that hold the group's prompt."""
        return [slot for slot, own in enumerate(self.groups) if own is group]

    def free_slots(self) -> list[list[int]]:
        """Slots without a sample in work, by shard, numbered within it; first those whose prompt is missed least."""
        size = self.slots_a_shard
        newest = {slot: age for age, (slot, _) in enumerate(self.kept, start=1)}
        free = {
            slot: newest.get(slot, 0) if own else -1 for slot, own in enumerate(self.groups) if not (own and own.open)
        }
        by_loss = sorted(free, key=free.__getitem__)
        return [[slot % size for slot in by_loss if slot // size == shard] for shard in range(self._num_shards)]

    def put_group(self, slot: int, group: Group, chunk: int) -> Group | None:
        """Give a slot to a prompt before the chunk of that number; returns the prompt that had it."""
        before, self.groups[slot] = self.groups[slot], group
        self.kept = {place: own for place, own in self.kept.items() if place[0] != slot}
        self.live[slot], self._columns[slot], self._since[slot] = False, 0, chunk
        self._refilled[slot], self._arranged = group.refills, chunk
        return before

    def put_sample(self, slot: int, lane: int, columns: int, chunk: int) -> None:
        """Put a sample of so many columns into a lane, to go on with the chunk of that number."""
        self.live[slot, lane], self._columns[slot, lane], self._since[slot, lane] = True, columns, chunk
        self._arranged = chunk
        self.kept.pop((slot, lane), None)

    def observe(
        self,
        layout: int,
        chunk: int,
        goes_on: Bool[np.ndarray, "N C"],
        columns: Int32[np.ndarray, "N C"],
        worked_on: Int32[np.ndarray, "N C"],
        ended: Mapping[tuple[int, int], KeptSample],
    ) -> None:
        """Take note of what a chunk left in the lanes.

        Args:
            layout: When it started.
            chunk: Its number.
            goes_on: Lanes with a sample that has not ended.
            columns: `own_end` of every lane.
            worked_on: The last sample that each lane had; -1 is none.
            ended: Of these the ones that ended, by slot and lane.
        """
        self._read = chunk
        if layout != self.layout:
            return
        known = self._since <= chunk
        for place, own in [*self.kept.items()]:
            if known[place] and worked_on[place] not in (-1, own.sample):
                del self.kept[place]
        self.kept |= {place: own for place, own in ended.items() if known[place]}
        self.live = np.where(known, goes_on, self.live)
        self._columns = np.where(known, columns, self._columns)
        self._since = np.where(known, chunk + 1, self._since)

    def columns_needed(self, chunk: int, chunk_tokens: int) -> int:
        """Columns that own caches need for the chunk of that number, as far as lanes are live."""
        needed = self._columns + (chunk + 1 - self._since) * chunk_tokens
        return int(np.where(self.live, needed, 0).max())

    def cut(self, columns: int, chunk_tokens: int) -> None:
        """Take note that own caches have lost what is behind so many columns."""
        # A sample starts in any column of its first chunk.
        self.kept = {place: own for place, own in self.kept.items() if len(own.token_ids) + chunk_tokens - 1 <= columns}

    def shrink(self, chunk: int) -> Compaction | None:
        """The smallest batch for what is in work, taken over here before the chunk of that number.

        None where that is the present one, or not known yet because no chunk of the present arrangement was read.
        """
        if self._read < self._arranged:
            return None
        refilled = self._refilled & [own is not None and own.refills for own in self.groups]
        working = np.array([own is not None and bool(own.open) for own in self.groups])
        plan = plan_compaction((self.live & working[:, None]) | refilled[:, None], refilled, self._num_shards)
        if plan is not None:
            self._take_over(plan, np.any(plan.live, axis=1), chunk)
        return plan

    def expand(self, chunk: int) -> Compaction:
        """The whole batch again, with all that is in the present one, taken over here before that chunk."""
        size, (slots, lanes) = self.slots_a_shard, self._full
        new = np.arange(slots) % (slots // self._num_shards)
        kept = new < size
        lane_index = np.broadcast_to(np.arange(lanes), (slots, lanes))
        fits = kept[:, None] & (lane_index < self.shape[1])
        slot_index = np.where(kept, new, 0)
        old = self._old_slots(slot_index)
        plan = Compaction(
            slot_index,
            np.where(fits, lane_index, 0),
            fits & self.live[old[:, None], np.where(fits, lane_index, 0)],
            kept & self._refilled[old],
        )
        self._take_over(plan, kept, chunk)
        return plan

    def _old_slots(self, slot_index: np.ndarray) -> np.ndarray:
        shards = np.repeat(np.arange(self._num_shards), len(slot_index) // self._num_shards)
        return shards * self.slots_a_shard + slot_index

    def _take_over(self, plan: Compaction, kept: np.ndarray, chunk: int) -> None:
        old = self._old_slots(plan.slot_index)
        places = old[:, None], plan.lane_index
        self.groups = [self.groups[slot] if keep else None for slot, keep in zip(old.tolist(), kept, strict=True)]
        self.live, self._columns, self._since = (
            self.live[places] & plan.live,
            self._columns[places],
            self._since[places],
        )
        self._refilled, self._arranged = plan.refilled.copy(), chunk
        self.kept.clear()
        self.layout += 1
