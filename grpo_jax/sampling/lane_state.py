# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The slots and lanes of the device, and how the host's decisions become programs on them."""

import zlib
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int32

from grpo_jax.models.reasoning_tags import base_ids
from grpo_jax.parallel.transfer import place
from grpo_jax.sampling.buckets import bucket_of, buckets_up_to, column_buckets, shrunk_column_buckets
from grpo_jax.sampling.compaction import Compaction
from grpo_jax.sampling.counts import Counts
from grpo_jax.sampling.decode import ChunkOutput
from grpo_jax.sampling.groups import Entry, Group
from grpo_jax.sampling.prefix import Prefixes
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Partial, Room, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.slot_table import SlotTable
from grpo_jax.sampling.state import Lanes, NewGroup, Slots
from grpo_jax.sampling.token_choice import Cuts

STOP_IDS_STEP = 8
"""Stop ids of a lane come in multiples of this, so that one more id is no new program."""
PREFILL_TOKENS = 16_384
"""Prompt tokens, padding included, that one device prefills at once."""
GATHERED_COLUMNS = 1 << 18
"""Columns of prompts and lanes that one device copies at once for samples that go on."""
SMALLEST_PREFIX = 16
"""Inputs of samples that go on below which padding costs less than another program."""
PATIENCE = 8
"""Chunks that own caches must have been too wide for, by half or more, before they are cut."""


class Placement(NamedTuple):
    """A sample that goes into a lane; the slot is counted within the shard, `kept` inputs of it are there."""

    shard: int
    slot: int
    lane: int
    group: Group
    entry: Entry
    kept: int = 0

    @property
    def num_new(self) -> int:
        """Inputs to compute."""
        return len(self.entry.partial.token_ids) - self.kept


class LaneState:
    """The device's arrays, made when the first prompt comes."""

    def __init__(self, programs: Programs, room: Room, table: SlotTable, seed: int, counts: Counts):
        """Decide the shapes.

        Args:
            programs: Of the model.
            room: What requests will need at most.
            table: What the host knows; kept up to date by the caller.
            seed: Of requests without one of their own.
            counts: Gets the work added.
        """
        self._programs, self._room, self._table, self._seed = programs, room, table, seed
        self._counts = counts
        self._slots: Slots | None = None
        self._lanes: Lanes | None = None
        longest = max(programs.max_completion_tokens or 0, room.completion_tokens)
        self._column_buckets = column_buckets(longest, programs.chunk_tokens)
        self._shrunk_column_buckets = shrunk_column_buckets(self._column_buckets)
        self._prefix_buckets = buckets_up_to(longest, SMALLEST_PREFIX)
        self._num_prompt = bucket_of(room.prompt_tokens, programs.prompt_buckets)
        most_stops = len(programs.with_twins(programs.stop_ids)) + room.stop_ids * len(programs.with_twins([0]))
        self._num_stops = -(-max(most_stops, 1) // STOP_IDS_STEP) * STOP_IDS_STEP
        self._columns = self._too_wide = 0

    @property
    def most_prompts(self) -> int:
        """Prompts that one device prefills at once."""
        return max(1, PREFILL_TOKENS // self._num_prompt)

    @property
    def has_rings(self) -> bool:
        """Whether own caches of any layer may hold the last columns only."""
        longest = self._column_buckets[-1]
        return min(self._programs.own_columns(longest)) < longest

    def release(self) -> None:
        """Give the device's memory back; what the lanes held is lost."""
        self._slots = self._lanes = None

    def chunk(
        self, weights: ServingWeights, killed: Int32[np.ndarray, "N C"], with_cuts: bool
    ) -> tuple[ChunkOutput, jax.Array]:
        """Start a chunk; returns its tokens and the lanes' `own_end`, neither of them there yet."""
        self._lanes, output, own_end = self._programs.chunk(
            weights,
            self._slots,
            self._lanes,
            self._put(killed, np.int32),
            with_cuts=with_cuts,
            tags=self._programs.tag_table,
        )
        return output, own_end

    def put_groups(self, weights: ServingWeights, rows: list[list[tuple[int, Group]]]) -> None:
        """Prefill the prompts of (slot within the shard, group), listed by shard, and put them into their slots."""
        programs, slots_a_shard = self._programs, self._table.slots_a_shard
        slots, lanes = self._arrays()
        num_rows = min(1 << (max(map(len, rows)) - 1).bit_length(), slots_a_shard)
        some = next(group for own in rows for _, group in own)
        filled = [both for own in rows for both in [*own, *[(slots_a_shard, some)] * (num_rows - len(own))]]
        groups = [group for _, group in filled]
        requests = [group.request for group in groups]
        lengths = [len(request.token_ids) for request in requests]
        prompts = np.full((len(requests), bucket_of(max(lengths), programs.prompt_buckets)), programs.pad_id, np.int32)
        stop_ids = np.full((len(requests), self._num_stops), -1, np.int32)
        limits = np.ones((len(requests), self._room.num_samples), np.int32)
        for prompt, stops, limit, group in zip(prompts, stop_ids, limits, groups, strict=True):
            prompt[: len(group.request.token_ids)] = group.request.token_ids
            own = programs.with_twins([*programs.stop_ids, *group.request.stop_ids])
            stops[: len(own)] = own
            for number in group.fresh:
                limit[number] = group.open[number].limit
        put, tags = self._put, programs.tags
        new = NewGroup(
            slot=put([slot for slot, _ in filled], np.int32),
            prompt_length=put(lengths, np.int32),
            last_token=put([request.token_ids[-1] for request in requests], np.int32),
            first_sample=put([group.fresh.start for group in groups], np.int32),
            num_samples=put([group.fresh.stop for group in groups], np.int32),
            limit=put(limits, np.int32),
            stop_ids=put(stop_ids, np.int32),
            temperature=put([request.temperature for request in requests], np.float32),
            cuts=Cuts(
                put([request.top_p for request in requests], np.float32),
                put([request.top_k for request in requests], np.int32),
                put([request.min_p for request in requests], np.float32),
            ),
            seed=put([self._seed if r.seed is None else r.seed for r in requests], np.uint32),
            step=put([group.step for group in groups], np.uint32),
            stream=put([zlib.crc32(request.noise_id.encode()) for request in requests], np.uint32),
            tag_state=None if tags is None else put([tags.start_state(r.token_ids) for r in requests], np.int32),
        )
        prompt_kv = programs.prefill(weights, put(prompts, np.int32))
        self._slots, self._lanes = programs.put_groups(slots, lanes, new, prompt_kv)

    def put_samples(self, weights: ServingWeights, placements: list[Placement], chunk: int) -> None:
        """Compute what is there of samples and put it into lanes, for the chunk of that number."""
        size = self._programs.chunk_tokens
        for own in placements:
            columns = -(-len(own.entry.partial.token_ids) // size) * size
            slot = own.shard * self._table.slots_a_shard + own.slot
            self._table.put_sample(slot, own.lane, columns, chunk)
        self.fit_columns(chunk, may_cut=False)
        for with_kept in (False, True):
            # Of like lengths together, since all rows of a program are as long as its longest.
            waiting: list[list[Placement]] = [[] for _ in range(self._programs.num_shards)]
            for own in sorted(placements, key=lambda own: -own.num_new):
                if (own.kept > 0) == with_kept:
                    waiting[own.shard].append(own)
            while any(waiting):
                width = bucket_of(max(1, *(own[0].num_new for own in waiting if own)), self._prefix_buckets)
                seen = self._num_prompt + self._columns * with_kept
                most = max(1, min(PREFILL_TOKENS // width, GATHERED_COLUMNS // seen))
                self._put_prefixes(weights, [own[:most] for own in waiting], width, with_kept)
                waiting = [own[most:] for own in waiting]
        self._counts.prefix_tokens += sum(own.num_new for own in placements)
        self._counts.kept_tokens += sum(own.kept for own in placements)

    def _put_prefixes(
        self, weights: ServingWeights, by_shard: list[list[Placement]], width: int, with_kept: bool
    ) -> None:
        num_rows = 1 << (max(map(len, by_shard)) - 1).bit_length()
        some = next(own for rows in by_shard for own in rows)._replace(slot=self._table.slots_a_shard)
        filled = [own for rows in by_shard for own in [*rows, *[some] * (num_rows - len(rows))]]
        inputs = np.full((len(filled), width), self._programs.pad_id, np.int32)
        partials = [own.entry.partial for own in filled]
        followed = [np.append(own.group.request.token_ids[-1:], own.entry.partial.token_ids) for own in filled]
        for row, ids, own in zip(inputs, followed, filled, strict=True):
            row[: own.num_new] = ids[own.kept : -1]
        put, slots, lanes = self._put, *self._arrays()
        prefixes = Prefixes(
            slot=put([own.slot for own in filled], np.int32),
            lane=put([own.lane for own in filled], np.int32),
            sample=put([partial.sample for partial in partials], np.int32),
            limit=put([own.entry.limit for own in filled], np.int32),
            kept=put([own.kept for own in filled], np.int32),
            inputs=put(inputs, np.int32),
            count=put([len(partial.token_ids) for partial in partials], np.int32),
            token=put([ids[-1] for ids in followed], np.int32),
            tag_state=None
            if self._programs.tags is None
            else put([self._tag_state(own.group.request, own.entry.partial) for own in filled], np.int32),
        )
        keys_values = self._programs.prefill_prefixes(weights, slots, lanes if with_kept else None, prefixes)
        self._lanes, limit = self._programs.put_prefixes(lanes, slots.limit, prefixes, keys_values, with_kept=with_kept)
        self._slots = slots._replace(limit=limit)

    def reshape(self, plan: Compaction) -> None:
        """Give the batch the shape that the table has taken over."""
        slots, lanes = self._arrays()
        self._slots, self._lanes = self._programs.compact(
            slots,
            lanes,
            self._put(plan.slot_index, np.int32),
            self._put(plan.lane_index, np.int32),
            self._put(plan.live, np.bool_),
            self._put(plan.refilled, np.bool_),
        )

    def fit_columns(self, chunk: int, may_cut: bool = True) -> None:
        """Give own caches the columns that they need for the chunk of that number; cut them when long too wide."""
        _, lanes = self._arrays()
        size, ahead = self._programs.chunk_tokens, self._programs.chunks_ahead
        buckets = self._shrunk_column_buckets if self._table.is_shrunk else self._column_buckets
        needed = max(self._table.columns_needed(chunk, size), (ahead + 1) * size)
        least = bucket_of(min(needed, buckets[-1]), buckets)
        wanted = bucket_of(max(least, self._columns), buckets)
        if may_cut:
            self._too_wide = self._too_wide + 1 if 2 * least <= self._columns else 0
            wanted = least if self._too_wide >= PATIENCE else wanted
        if wanted == self._columns:
            return
        if wanted < self._columns:
            self._table.cut(wanted, size)
        self._columns, self._too_wide = wanted, 0
        own_kv = self._programs.resize(lanes.own_kv, columns=self._programs.own_columns(wanted))
        self._lanes = lanes._replace(own_kv=own_kv)

    def _arrays(self) -> tuple[Slots, Lanes]:
        if self._slots is not None and self._lanes is not None:
            return self._slots, self._lanes
        programs, buckets = self._programs, self._column_buckets
        self._columns = bucket_of(min((programs.chunks_ahead + 1) * programs.chunk_tokens, buckets[-1]), buckets)
        self._slots, self._lanes = slots, lanes = programs.empty_state(
            *self._table.shape,
            self._num_prompt,
            programs.own_columns(self._columns),
            self._num_stops,
            self._room.num_samples,
        )
        return slots, lanes

    def _put(self, values: Any, dtype: Any) -> jax.Array:
        return place(np.asarray(values, dtype), self._programs.by_slot)

    def _tag_state(self, request: SampleRequest, partial: Partial) -> int:
        tags = self._programs.tags
        assert tags is not None
        state = tags.start_state(request.token_ids)
        for token_id in base_ids(partial.token_ids, tags.num_ids).tolist():
            state = int(tags.table[state, token_id])
        return state
