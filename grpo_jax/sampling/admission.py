# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which prompts hold the slots, which samples the lanes, and when the batch shrinks or grows again."""

from collections import deque

import numpy as np
from jaxtyping import Int32

from grpo_jax.sampling.counts import Counts
from grpo_jax.sampling.groups import Entry, Group, group_key
from grpo_jax.sampling.lane_state import LaneState, Placement
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Partial, Room, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.slot_table import SlotTable
from grpo_jax.sampling.transcripts import Decode, Transcripts


class Admission:
    """Prompts that wait and prompts in slots, with all samples that have not ended.

    Attributes:
        table: What the host knows of slots and lanes.
        state: What the device holds.
        transcripts: Of the samples of prompts in slots.
        owners: Group and number of the sample in each row of the transcripts.
        num_unfinished: Samples that have not ended.
    """

    def __init__(
        self,
        programs: Programs,
        room: Room,
        num_slots: int,
        num_lanes: int,
        seed: int,
        decode: Decode | None,
        counts: Counts,
    ):
        """Set up empty slots; see `LiveSampling`."""
        self._room, self._seed = room, seed
        self.table = SlotTable(num_slots, num_lanes, programs.num_shards)
        self.state = LaneState(programs, room, self.table, seed, counts)
        self.transcripts = Transcripts(num_slots * room.num_samples, room.completion_tokens, decode)
        self.owners: dict[int, tuple[Group, int]] = {}
        self.num_unfinished = 0
        self._waiting: deque[Group] = deque()
        self._by_key: dict[tuple[object, ...], Group] = {}

    def groups(self) -> list[Group]:
        """Prompts in slots and those that wait."""
        return [*self.groups_in_slots(), *self._waiting]

    def groups_in_slots(self) -> list[Group]:
        """Prompts in slots; those without a sample in work stay while nobody wants the slot."""
        return [*dict.fromkeys(own for own in self.table.groups if own is not None)]

    def join(self, request: SampleRequest, step: int, entries: dict[int, Entry]) -> None:
        """Take in samples of a prompt, by number; they share the slot of what came before where that is possible."""
        key = group_key(request, self._seed, step)
        group = self._by_key.get(key)
        if group is None or not group.fits(entries):
            group = self._by_key[key] = Group(key, request, step, self._room.num_samples)
        in_slot = bool(self.table.slots_of(group))
        if not group.waiting and not in_slot:
            group.waiting = True
            self._waiting.append(group)
        group.open |= entries
        self.num_unfinished += len(entries)
        if in_slot:
            group.to_place += entries.values()

    def remove(self, group: Group, number: int) -> int:
        """Take a sample out; returns the row that its transcript had, or -1."""
        entry = group.open.pop(number)
        self.num_unfinished -= 1
        group.rows[number] = -1
        if entry in group.to_place:
            group.to_place.remove(entry)
        if not group.open and group.waiting:
            group.waiting = False
            self._waiting.remove(group)
        if entry.row >= 0:
            del self.owners[entry.row]
            self.transcripts.release(entry.row)
        return entry.row

    def clear(self) -> None:
        """Forget all prompts, and give the device's memory back."""
        for group in self.groups():
            for number in [*group.open]:
                self.remove(group, number)
        self._by_key.clear()
        self.table.clear()
        self.state.release()

    def rows(self) -> Int32[np.ndarray, "N G"]:
        """Row of the transcript of each sample of each slot's prompt; -1 where its tokens are to be dropped."""
        none = np.full(self._room.num_samples, -1, np.int32)
        return np.stack([none if group is None else group.rows for group in self.table.groups])

    def killed(self) -> Int32[np.ndarray, "N C"]:
        """Samples to drop in each slot; what does not fit is told with a later chunk, its tokens being ignored."""
        num_lanes = self.table.shape[1]
        told = np.full(self.table.shape, -1, np.int32)
        for slot, group in enumerate(self.table.groups):
            if group is not None and group.killed:
                now = group.killed[:num_lanes]
                told[slot, : len(now)] = now
        for group in self.groups_in_slots():
            del group.killed[:num_lanes]
        return told

    def admit(self, weights: ServingWeights, chunk: int) -> None:
        """Put waiting samples into lanes, and waiting prompts into free slots evenly over the shards.

        Args:
            weights: Of the policy.
            chunk: Number of the chunk that comes next.
        """
        self._place(weights, chunk)
        if self.table.is_shrunk and self._somebody_waits():
            self.state.reshape(self.table.expand(chunk))
            self._place(weights, chunk)
        while self._waiting:
            by_shard = self.table.free_slots()
            rows: list[list[tuple[int, Group]]] = [[] for _ in by_shard]
            for turn in range(self.state.most_prompts):
                for own, free in zip(rows, by_shard, strict=True):
                    if self._waiting and turn < len(free):
                        own.append((free[turn], self._waiting.popleft()))
            if not any(rows):
                return
            self._put_groups(weights, rows, chunk)

    def fit(self, chunk: int, may_shrink: bool) -> None:
        """Shrink the batch to what is alive, where nothing waits, and fit the own caches to what lanes hold."""
        if may_shrink and not self._somebody_waits():
            plan = self.table.shrink(chunk)
            if plan is not None:
                self.state.reshape(plan)
                kept = set(self.groups_in_slots())
                self._by_key = {key: group for key, group in self._by_key.items() if group in kept}
        self.state.fit_columns(chunk)

    def _somebody_waits(self) -> bool:
        return bool(self._waiting) or any(group.to_place for group in self.groups_in_slots())

    def _put_groups(self, weights: ServingWeights, rows: list[list[tuple[int, Group]]], chunk: int) -> None:
        """Prefill the prompts of (slot within the shard, group), listed by shard, and put them into their slots."""
        for own in rows:
            for _, group in own:
                group.enter_slot()
                for number in group.fresh:
                    self._take_row(group, number)
        self.state.put_groups(weights, rows)
        placements: list[Placement] = []
        for shard, own in enumerate(rows):
            for slot, group in own:
                before = self.table.put_group(shard * self.table.slots_a_shard + slot, group, chunk)
                if before is not None and self._by_key.get(before.key) is before:
                    del self._by_key[before.key]
                entries = group.to_place[: self.table.shape[1]]
                placements += [Placement(shard, slot, lane, group, entry) for lane, entry in enumerate(entries)]
        self._put_samples(weights, placements, chunk)

    def _place(self, weights: ServingWeights, chunk: int) -> None:
        """Put samples into free lanes of their prompt's slots, where lanes take up nothing by themselves any more."""
        placements: list[Placement] = []
        for group in self.groups_in_slots():
            if group.to_place and not group.refills:
                placements += self._share_out(group)
        self._put_samples(weights, placements, chunk)

    def _share_out(self, group: Group) -> list[Placement]:
        """Lanes for samples of a group: the one that kept it, else those first that nobody comes back to.

        Where lanes are few, a sample whose lane kept it goes before those that have waited for longer.
        """
        table, size, slots = self.table, self.table.slots_a_shard, self.table.slots_of(group)
        free = [(slot, int(lane)) for slot in slots for lane in np.flatnonzero(~table.live[slot])]
        places = {own.sample: place for place, own in table.kept.items() if place[0] in slots}
        chosen: list[tuple[Entry, tuple[int, int], int]] = []
        others: list[Entry] = []
        for entry in group.to_place:
            number, place = entry.partial.sample, places.get(entry.partial.sample)
            # A lane still works on what was killed until it is told of it, and would drop its successor as well.
            if number in group.killed or (place is not None and place not in free):
                continue
            kept = table.kept[place] if place is not None else None
            shared = kept.inputs_shared(entry.partial.token_ids, whole=self.state.has_rings) if kept else 0
            if place is not None and shared:
                free.remove(place)
                chosen.append((entry, place, shared))
            else:
                others.append(entry)
        # Those that have been kept longest are least likely to be asked for.
        ages = {place: age for age, place in enumerate(table.kept, start=1)}
        free.sort(key=lambda place: ages.get(place, 0))
        chosen += [(entry, place, 0) for entry, place in zip(others, free, strict=False)]
        return [
            Placement(slot // size, slot % size, lane, group, entry, shared) for entry, (slot, lane), shared in chosen
        ]

    def _put_samples(self, weights: ServingWeights, placements: list[Placement], chunk: int) -> None:
        if not placements:
            return
        for own in placements:
            own.group.to_place.remove(own.entry)
            self._take_row(own.group, own.entry.partial.sample)
        self.state.put_samples(weights, placements, chunk)

    def _take_row(self, group: Group, number: int) -> None:
        entry = group.open[number]
        entry.row = self.transcripts.begin(entry.partial, group.request.stop_strings)
        self.owners[entry.row] = group, number
        group.rows[number] = entry.row


def check_room(request: SampleRequest, partials: list[Partial], room: Room) -> None:
    """Check that a request's samples are possible.

    Raises:
        ValueError: As `LiveSampling.submit` says.
    """
    limits, numbers = request.sample_limits, {own.sample for own in partials}
    needed = Room.of([request], 1 + max(numbers))
    if limits and (len(limits) != needed.num_samples or min(limits) < 1 or max(limits) > request.max_tokens):
        raise ValueError(
            f"sample_limits {limits} must be {needed.num_samples} numbers from 1 to max_tokens={request.max_tokens}"
        )
    for name in ("num_samples", "prompt_tokens", "completion_tokens", "stop_ids"):
        if getattr(needed, name) > getattr(room, name):
            raise ValueError(f"a request needs {name}={getattr(needed, name)}, but there is room for {room}")
    if len(numbers) < len(partials):
        raise ValueError("a sample is asked for twice in one request")
    for own in partials:
        if len(own.token_ids) >= (limits[own.sample] if limits else request.max_tokens):
            raise ValueError(f"sample {own.sample} has reached its limit: {len(own.token_ids)} tokens are there")
