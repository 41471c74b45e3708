# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The host's side of decoding: a wave of prompts is prefilled once each and decoded in chunks of fixed length.

Between chunks the host collects the lanes that ended, drops them from the batch where that at least halves it, and
widens the cache when it is full.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from grpo_jax.parallel.transfer import fetch, place
from grpo_jax.records import Completion
from grpo_jax.sampling.buckets import bucket_of, buckets_up_to
from grpo_jax.sampling.decode import Lanes, Slots
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.token_choice import Cuts


class Wave:
    """Prompts that are decoded together, and where each of their samples stands."""

    def __init__(
        self,
        programs: Programs,
        weights: ServingWeights,
        requests: Sequence[SampleRequest],
        num_samples: int,
        seed: int,
        step: int,
    ):
        self._programs, self._weights = programs, weights
        num_slots = -(-len(requests) // programs.slot_multiple) * programs.slot_multiple
        # Fill slots repeat the last request; their lanes are born done.
        filled = [*requests, *[requests[-1]] * (num_slots - len(requests))]
        self._limits = np.array([request.max_tokens for request in filled], np.int32)
        self._longest = int(self._limits.max())
        self._with_cuts = any(request.has_cuts for request in requests)
        # What the device's slots and lanes hold, by their present place: request, sample, and whether it goes on.
        self._slot_ids = np.arange(num_slots)
        self._lane_ids = np.tile(np.arange(num_samples), (num_slots, 1))
        self._live = np.repeat(self._slot_ids[:, None] < len(requests), num_samples, axis=1)
        self._kept: dict[tuple[int, int], list[tuple[np.ndarray, ...]]] = {}
        self._columns = self._columns_for(programs.chunk_tokens)
        self._slots = self._start_slots(filled)
        self._lanes = self._start_lanes(filled, num_samples, seed, step)

    def run(self) -> Iterator[tuple[int, int, Completion]]:
        """Decode to the end of the last lane; yields (request, sample, completion) as each ends."""
        programs, start = self._programs, 0
        while self._live.any():
            columns = self._columns_for(start + programs.chunk_tokens)
            if columns > self._columns:
                self._columns = columns
                self._lanes = self._lanes._replace(own_kv=programs.grow(self._lanes.own_kv, num_columns=columns))
            self._lanes, output = programs.chunk(
                self._weights,
                self._slots,
                self._lanes,
                np.int32(start),
                num_steps=min(programs.chunk_tokens, self._longest),
                with_cuts=self._with_cuts,
            )
            yield from self._collect(start, fetch(tuple(output)))
            start += programs.chunk_tokens
            self._drop_finished()

    def _columns_for(self, num_tokens: int) -> int:
        return bucket_of(min(num_tokens, self._longest), buckets_up_to(self._longest))

    def _put(self, values: Any, dtype: Any) -> jax.Array:
        return place(np.asarray(values, dtype), self._programs.by_slot)

    def _start_slots(self, filled: Sequence[SampleRequest]) -> Slots:
        lengths = [len(request.token_ids) for request in filled]
        num_prompt = bucket_of(max(lengths), self._programs.prompt_buckets)
        prompts = np.full((len(filled), num_prompt), self._programs.pad_id, np.int32)
        for row, request in zip(prompts, filled, strict=True):
            row[: len(request.token_ids)] = request.token_ids
        return Slots(
            prompt_kv=self._programs.prefill(self._weights, self._put(prompts, np.int32)),
            prompt_length=self._put(lengths, np.int32),
            temperature=self._put([request.temperature for request in filled], np.float32),
            limit=self._put(self._limits, np.int32),
            cuts=Cuts(
                top_p=self._put([request.top_p for request in filled], np.float32),
                top_k=self._put([request.top_k for request in filled], np.int32),
                min_p=self._put([request.min_p for request in filled], np.float32),
            ),
        )

    def _start_lanes(self, filled: Sequence[SampleRequest], num_samples: int, seed: int, step: int) -> Lanes:
        streams = [zlib.crc32(request.noise_id.encode()) for request in filled]
        last = [[request.token_ids[-1]] * num_samples for request in filled]
        return Lanes(
            own_kv=self._programs.empty_cache(len(filled), num_samples, self._columns),
            token=self._put(last, np.int32),
            done=self._put(~self._live, np.bool_),
            key=self._programs.lane_keys(
                np.uint32(seed), np.uint32(step), self._put(streams, np.uint32), num_samples=num_samples
            ),
        )

    def _collect(self, start: int, output: tuple[np.ndarray, ...]) -> Iterator[tuple[int, int, Completion]]:
        """Keep the chunk's tokens and log-probabilities, the fields of a `ChunkOutput`; yield the lanes that ended."""
        stops = np.isin(output[0], self._programs.stop_ids)
        num_steps = stops.shape[2]
        first_stop = np.where(stops.any(axis=2), stops.argmax(axis=2), num_steps)
        room = (self._limits[:, None] - start).clip(min=0)
        lengths = np.minimum(np.minimum(first_stop + 1, room), num_steps)
        stopped = first_stop < lengths
        ended = stopped | (start + lengths >= self._limits[:, None])
        for n, c in zip(*np.nonzero(self._live), strict=True):
            slot, sample, length = int(self._slot_ids[n]), int(self._lane_ids[n, c]), int(lengths[n, c])
            parts = self._kept.setdefault((slot, sample), [])
            parts.append(tuple(values[n, c, :length] for values in output))
            if ended[n, c]:
                parts = self._kept.pop((slot, sample))
                ids, logprobs, truncated = (np.concatenate(part) for part in zip(*parts, strict=True))
                yield slot, sample, Completion(ids, logprobs, "stop" if stopped[n, c] else "length", truncated)
        self._live &= ~ended

    def _drop_finished(self) -> None:
        """Shrink the batch to its live lanes where that at least halves it.

        Slots come in powers of two and lanes a slot in powers of four, so that few programs are compiled.
        """
        live_slots = np.nonzero(self._live.any(axis=1))[0]
        if not len(live_slots):
            return
        num_slots, num_lanes = self._live.shape
        multiple = self._programs.slot_multiple
        slots = -(-(1 << (len(live_slots) - 1).bit_length()) // multiple) * multiple
        lanes = num_lanes
        while lanes % 4 == 0 and lanes // 4 >= self._live.sum(axis=1).max():
            lanes //= 4
        if 2 * slots * lanes > num_slots * num_lanes:
            return
        slot_index = np.resize(live_slots, slots)
        # Live lanes first, by a stable sort; the rest of the row is fill.
        lane_index = np.argsort(~self._live[slot_index], axis=1, kind="stable")[:, :lanes]
        live = np.take_along_axis(self._live[slot_index], lane_index, axis=1)
        live &= (np.arange(slots) < len(live_slots))[:, None]
        self._slots, self._lanes = self._programs.compact(
            self._slots,
            self._lanes,
            self._put(slot_index, np.int32),
            self._put(lane_index, np.int32),
            self._put(~live, np.bool_),
        )
        self._slot_ids, self._limits = self._slot_ids[slot_index], self._limits[slot_index]
        self._lane_ids = np.take_along_axis(self._lane_ids[slot_index], lane_index, axis=1)
        self._live = live
