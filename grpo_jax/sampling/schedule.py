# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The host's side of decoding: which prompts hold the slots, and when the caches grow or the batch shrinks.

On an accelerator the host works one chunk behind: chunk t + 1 is under way before the tokens of chunk t are read. What
it knows of lengths and ended lanes is one chunk old, so it reserves room for one chunk more, and a prompt is replaced
one chunk after its last sample ended. Every decision follows from tokens, none from timing, so a run repeats itself.
"""

import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int32

from grpo_jax.parallel.transfer import fetch, place
from grpo_jax.sampling.buckets import bucket_of, column_buckets, shrunk_column_buckets
from grpo_jax.sampling.compaction import plan_compaction
from grpo_jax.sampling.decode import ChunkOutput
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Sample, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.state import NewGroup
from grpo_jax.sampling.token_choice import Cuts
from grpo_jax.sampling.transcripts import Decode, HostChunk, Transcripts

STOP_IDS_STEP = 8
"""Stop ids of a lane come in multiples of this, so that one more id is no new program."""
PREFILL_TOKENS = 16_384
"""Prompt tokens, padding included, that one device prefills at once."""


@dataclass
class Counts:
    """What a sampler has done so far.

    Attributes:
        chunks: Device programs of decode.
        row_steps: Lanes times steps that they computed, whether a sample was in the lane or not.
        tokens: Sampled tokens.
        host_gap_seconds: Upper bound of the time that the device had no chunk to run because the host was at work.
    """

    chunks: int = 0
    row_steps: int = 0
    tokens: int = 0
    host_gap_seconds: float = 0.0


class _Chunk(NamedTuple):
    """A chunk under way: what it will return, and what the slots held when it was started."""

    output: ChunkOutput
    own_end: jax.Array
    requests: Int32[np.ndarray, " N"]
    layout: int


class Schedule:
    """The requests of one call: those in slots, those waiting, and the state on the device."""

    def __init__(
        self,
        programs: Programs,
        weights: ServingWeights,
        requests: Sequence[SampleRequest],
        num_samples: int,
        *,
        num_slots: int,
        num_lanes: int,
        seed: int,
        step: int,
        counts: Counts,
        decode: Decode | None,
    ):
        """Set up empty slots.

        Args:
            programs: Of the model.
            weights: Serving view of the policy.
            requests: At least one.
            num_samples: Samples of each.
            num_slots: Prompts decoded at once, a multiple of `programs.num_shards`.
            num_lanes: Samples of a prompt decoded at once.
            seed: Of requests without one of their own.
            step: Training step.
            counts: Gets the work of this call added.
            decode: Text of ids; needed where a request has stop strings.
        """
        self._programs, self._weights, self._requests = programs, weights, requests
        self._num_samples, self._seed, self._counts = num_samples, seed, counts
        self._step = place(np.uint32(step), programs.replicated)
        self._transcripts = Transcripts(requests, num_samples, decode)
        self._with_cuts = programs.with_cuts or any(request.has_cuts for request in requests)
        self._waiting = list(range(len(requests)))
        self._slot_requests = np.full(num_slots, -1, np.int32)
        self._num_lanes, self._layout = num_lanes, 0
        longest = max(programs.max_completion_tokens or 0, *(request.max_tokens for request in requests))
        self._column_buckets = column_buckets(longest, programs.chunk_tokens)
        self._shrunk_column_buckets = shrunk_column_buckets(self._column_buckets)
        self._columns = bucket_of(
            min((programs.chunks_ahead + 1) * programs.chunk_tokens, self._column_buckets[-1]), self._column_buckets
        )
        self._num_prompt = bucket_of(max(len(request.token_ids) for request in requests), programs.prompt_buckets)
        most_stops = max(len(self._stop_ids(request)) for request in requests)
        self._num_stops = -(-max(most_stops, 1) // STOP_IDS_STEP) * STOP_IDS_STEP
        self._slots, self._lanes = programs.empty_state(
            num_slots, num_lanes, self._num_prompt, programs.own_columns(self._columns), self._num_stops, num_samples
        )

    def run(self) -> Iterator[Sample]:
        """Decode to the end of the last sample; yields each as soon as its chunk is read."""
        try:
            yield from self._run()
        finally:
            self._transcripts.close()

    def _run(self) -> Iterator[Sample]:
        under_way: list[_Chunk] = []
        self._admit()
        free_since = time.perf_counter()
        while self._transcripts.unfinished.any():
            if not under_way or all(value.is_ready() for value in jax.tree.leaves(under_way[-1].own_end)):
                self._counts.host_gap_seconds += time.perf_counter() - free_since
            under_way.append(self._start_chunk())
            if len(under_way) <= self._programs.chunks_ahead:
                continue
            chunk = under_way.pop(0)
            fetched = fetch((*chunk.output, chunk.own_end))
            free_since = time.perf_counter()
            output, own_end = HostChunk(*fetched[:-1]), fetched[-1]
            self._counts.tokens += int((output.sample >= 0).sum())
            yield from self._transcripts.record(output, chunk.requests)
            if self._transcripts.unfinished.any():
                self._admit()
                self._fit(chunk, output, int(own_end.max()))

    def _start_chunk(self) -> _Chunk:
        self._lanes, output, own_end = self._programs.chunk(
            self._weights,
            self._slots,
            self._lanes,
            self._killed(),
            with_cuts=self._with_cuts,
            tags=self._programs.tag_table,
        )
        for leaf in (*output, own_end):
            if leaf.is_fully_addressable:
                leaf.copy_to_host_async()
        self._counts.chunks += 1
        self._counts.row_steps += output.tokens.size
        return _Chunk(output, own_end, self._slot_requests.copy(), self._layout)

    def _killed(self) -> jax.Array:
        """Samples to drop in each slot; what does not fit is told with a later chunk, its tokens being ignored."""
        told = np.full((len(self._slot_requests), self._num_lanes), -1, np.int32)
        for request, samples in self._transcripts.killed.items():
            now = samples[: self._num_lanes]
            told[self._slot_requests == request, : len(now)] = now
            del samples[: self._num_lanes]
        self._transcripts.killed = {request: rest for request, rest in self._transcripts.killed.items() if rest}
        return self._put(told, np.int32)

    def _put(self, values: Any, dtype: Any) -> jax.Array:
        return place(np.asarray(values, dtype), self._programs.by_slot)

    def _stop_ids(self, request: SampleRequest) -> list[int]:
        return self._programs.with_twins([*self._programs.stop_ids, *request.stop_ids])

    def _limits(self, request: SampleRequest) -> tuple[int, ...]:
        return request.sample_limits or (request.max_tokens,) * self._num_samples

    def _admit(self) -> None:
        """Give every free slot to a waiting prompt, as evenly over the shards as they come."""
        while self._waiting:
            num_shards = self._programs.num_shards
            occupied = (self._slot_requests >= 0) & (self._transcripts.unfinished[self._slot_requests] > 0)
            by_shard = [list(np.flatnonzero(~part)) for part in occupied.reshape(num_shards, -1)]
            most = max(1, PREFILL_TOKENS // self._num_prompt)
            rows: list[list[tuple[int, int]]] = [[] for _ in range(num_shards)]
            for turn in range(most):
                for own, free in zip(rows, by_shard, strict=True):
                    if self._waiting and turn < len(free):
                        own.append((int(free[turn]), self._waiting.pop(0)))
            if not any(rows):
                return
            self._put_groups(rows)

    def _put_groups(self, rows: list[list[tuple[int, int]]]) -> None:
        """Prefill the requests of (slot within the shard, request), listed by shard, and put them into their slots."""
        programs, slots_a_shard = self._programs, len(self._slot_requests) // self._programs.num_shards
        most = max(map(len, rows))
        num_rows = min(1 << (most - 1).bit_length(), slots_a_shard)
        filled = [
            (slot, request) for own in rows for slot, request in [*own, *[(slots_a_shard, 0)] * (num_rows - len(own))]
        ]
        requests = [self._requests[request] for _, request in filled]
        lengths = [len(request.token_ids) for request in requests]
        prompts = np.full((len(requests), bucket_of(max(lengths), programs.prompt_buckets)), programs.pad_id, np.int32)
        stop_ids = np.full((len(requests), self._num_stops), -1, np.int32)
        for prompt, stops, request in zip(prompts, stop_ids, requests, strict=True):
            prompt[: len(request.token_ids)] = request.token_ids
            own = self._stop_ids(request)
            stops[: len(own)] = own
        put, tags = self._put, programs.tags
        new = NewGroup(
            slot=put([slot for slot, _ in filled], np.int32),
            prompt_length=put(lengths, np.int32),
            last_token=put([request.token_ids[-1] for request in requests], np.int32),
            num_samples=put([self._num_samples] * len(requests), np.int32),
            limit=put([self._limits(request) for request in requests], np.int32),
            stop_ids=put(stop_ids, np.int32),
            temperature=put([request.temperature for request in requests], np.float32),
            cuts=Cuts(
                put([request.top_p for request in requests], np.float32),
                put([request.top_k for request in requests], np.int32),
                put([request.min_p for request in requests], np.float32),
            ),
            seed=put([self._seed if r.seed is None else r.seed for r in requests], np.uint32),
            stream=put([zlib.crc32(request.noise_id.encode()) for request in requests], np.uint32),
            tag_state=None if tags is None else put([tags.start_state(r.token_ids) for r in requests], np.int32),
        )
        prompt_kv = programs.prefill(self._weights, put(prompts, np.int32))
        self._slots, self._lanes = programs.put_groups(self._slots, self._lanes, new, prompt_kv, self._step)
        for shard, own in enumerate(rows):
            for slot, request in own:
                self._slot_requests[shard * slots_a_shard + slot] = request
        self._layout += 1

    def _fit(self, chunk: _Chunk, output: HostChunk, longest: int) -> None:
        """Shrink the batch to what a chunk left alive, if it knows the present layout, and widen the own caches.

        Args:
            chunk: The last one read.
            output: Its tokens.
            longest: Columns of its longest lane.
        """
        if not self._waiting and chunk.layout == self._layout:
            self._compact((output.sample[..., -1] >= 0) & (output.finish[..., -1] == 0))
        wanted = min(
            longest + (self._programs.chunks_ahead + 1) * self._programs.chunk_tokens, self._column_buckets[-1]
        )
        columns = bucket_of(max(wanted, self._columns), self._column_buckets)
        if columns > self._columns:
            self._columns = columns
            own_kv = self._programs.grow(self._lanes.own_kv, columns=self._programs.own_columns(columns))
            self._lanes = self._lanes._replace(own_kv=own_kv)

    def _compact(self, live: Bool[np.ndarray, "N C"]) -> None:
        waiting = self._transcripts.started < self._num_samples
        refilled = (self._slot_requests >= 0) & waiting[self._slot_requests]
        plan = plan_compaction(live | refilled[:, None], refilled, self._programs.num_shards)
        if plan is None:
            return
        num_shards = self._programs.num_shards
        self._slots, self._lanes = self._programs.compact(
            self._slots,
            self._lanes,
            self._put(plan.slot_index, np.int32),
            self._put(plan.lane_index, np.int32),
            self._put(plan.live, np.bool_),
            self._put(plan.refilled, np.bool_),
        )
        shards = np.repeat(np.arange(num_shards), len(plan.slot_index) // num_shards)
        old = self._slot_requests.reshape(num_shards, -1)[shards, plan.slot_index]
        self._slot_requests = np.where(plan.live.any(axis=1), old, -1).astype(np.int32)
        self._num_lanes = plan.live.shape[1]
        self._column_buckets = self._shrunk_column_buckets
        self._layout += 1
