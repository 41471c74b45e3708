# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling that goes on: prompts come in at any time, new weights between two chunks, and what is unfinished goes out.

On an accelerator the host works one chunk behind: chunk t + 1 is under way before the tokens of chunk t are read. What
it knows of lengths and ended lanes is one chunk old, so it reserves room for one chunk more, and a prompt is replaced
one chunk after its last sample ended. Every decision follows from tokens, none from timing, so a run repeats itself;
and as long as the weights stay, a token follows from its key alone, whatever else is in the batch.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int32

from grpo_jax.parallel.device_memory import memory_explained
from grpo_jax.parallel.transfer import fetch
from grpo_jax.sampling.admission import Admission, check_room
from grpo_jax.sampling.counts import Counts
from grpo_jax.sampling.decode import ChunkOutput
from grpo_jax.sampling.groups import Entry, Group
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Partial, Room, Sample, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.slot_table import KeptSample
from grpo_jax.sampling.transcripts import Decode, HostChunk


class Withdrawn(NamedTuple):
    """What `withdraw` gives back.

    Attributes:
        samples: Those that ended meanwhile.
        partials: All others, by ticket and number.
    """

    samples: list[Sample]
    partials: list[Partial]


class _Chunk(NamedTuple):
    """A chunk under way: what it will return, and what the slots held when it was started."""

    output: ChunkOutput
    own_end: jax.Array
    groups: list[Group | None]
    rows: Int32[np.ndarray, "N G"]
    number: int
    layout: int
    version: int


class LiveSampling:
    """Requests in slots, those waiting, and the state on the device. One thread at a time may use it.

    Attributes:
        expecting_more: Set while submits will follow, so that the batch does not shrink for a lull.
    """

    def __init__(
        self,
        programs: Programs,
        weights: ServingWeights,
        room: Room,
        *,
        num_slots: int,
        num_lanes: int,
        seed: int,
        policy_version: int,
        counts: Counts,
        decode: Decode | None,
        check: Callable[[SampleRequest], None],
    ):
        """Set up empty slots; device memory is taken with the first request.

        Args:
            programs: Of the model.
            weights: Serving view of the policy.
            room: What requests will need at most.
            num_slots: Prompts decoded at once, a multiple of `programs.num_shards`.
            num_lanes: Samples of a prompt decoded at once.
            seed: Of requests without one of their own.
            policy_version: Of the weights.
            counts: Gets the work added.
            decode: Text of ids; needed where a request has stop strings.
            check: Raises for a request that the model cannot take.
        """
        self._programs, self._weights, self._version, self._room = programs, weights, policy_version, room
        self._counts, self._has_text, self._check = counts, decode is not None, check
        self._admission = Admission(programs, room, num_slots, num_lanes, seed, decode, counts)
        self._memory_settings = {
            "sampling.lanes": num_slots * num_lanes,
            "sampling.max_completion_tokens": room.completion_tokens,
            "data.max_prompt_tokens": programs.max_prompt_tokens,
        }
        self._under_way: list[_Chunk] = []
        self._num_tickets = self._num_chunks = 0
        self._free_since: float | None = None
        self.expecting_more = False

    def __enter__(self) -> "LiveSampling":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def idle(self) -> bool:
        """Whether every sample has ended."""
        return not self._admission.num_unfinished

    @property
    def num_unfinished(self) -> int:
        """Samples that have not ended."""
        return self._admission.num_unfinished

    @property
    def num_waiting(self) -> int:
        """Samples that no lane has taken up."""
        return sum(group.num_waiting for group in self._admission.groups())

    def submit(
        self, request: SampleRequest, num_samples: int = 1, *, step: int = 0, partials: Sequence[Partial] | None = None
    ) -> int:
        """Ask for samples of a prompt.

        Requests of the same prompt, settings, seed and step share a slot while it is there, however they come.

        Args:
            request: The prompt and its settings; `max_tokens` bounds a whole completion, given ids counted.
            num_samples: Samples from number 0 on, where no `partials` are given.
            step: Training step, 0 or more: the same problem gets new noise each step.
            partials: Exactly these samples, each going on after its tokens; they need not come from here.

        Returns:
            A ticket, which the samples will name as their `request`.

        Raises:
            ValueError: A prompt, completion or number of a sample exceeds the room or the model's context; a sample has
                reached its limit already; numbers repeat; stop strings come without a tokenizer's decode.
        """
        wanted = [Partial.fresh(number) for number in range(num_samples)] if partials is None else [*partials]
        self._check(request)
        check_room(request, wanted, self._room)
        if request.stop_strings and not self._has_text:
            raise ValueError("a request has stop_strings, and the sampler was made without a tokenizer's decode")
        ticket, self._num_tickets = self._num_tickets, self._num_tickets + 1
        limits = request.sample_limits
        entries = {
            own.sample: Entry(ticket, own, limits[own.sample] if limits else request.max_tokens) for own in wanted
        }
        self._admission.join(request, step, entries)
        return ticket

    def advance(self) -> list[Sample]:
        """Do one chunk of work: let waiting samples in, start a chunk, and read the one before it.

        Returns:
            Samples that ended; nothing where there is nothing to do.

        Raises:
            DeviceMemoryError: The caches do not fit a device.
        """
        if self.idle:
            self._free_since = None
            return []
        with memory_explained("sampling", self._memory_settings):
            if not self._under_way or all(value.is_ready() for value in jax.tree.leaves(self._under_way[-1].own_end)):
                self._count_gap()
            self._admission.admit(self._weights, self._num_chunks)
            self._admission.fit(self._num_chunks, may_shrink=not self.expecting_more)
            self._under_way.append(self._start_chunk())
            if len(self._under_way) <= self._programs.chunks_ahead:
                return []
            return self._read()

    def swap(self, weights: ServingWeights, policy_version: int) -> None:
        """Go on with other weights from the next chunk on; lanes keep the keys and values they have.

        So do those of samples that have ended: a later turn of such a one sees its earlier turns by older weights where
        its lane kept them, and by the new ones where they had to be computed again.
        """
        self._weights, self._version = weights, policy_version

    def oldest_versions(self) -> dict[int, int]:
        """Of the weights that sampled any token so far of samples in lanes, by ticket; none where there is no token."""
        found: dict[int, int] = {}
        for group in self._admission.groups_in_slots():
            for entry in group.open.values():
                version = self._admission.transcripts.oldest_version(entry.row) if entry.row >= 0 else None
                if version is not None:
                    found[entry.ticket] = min(version, found.get(entry.ticket, version))
        return found

    def cancel(self, ticket: int) -> None:
        """Give up the samples of a ticket; those that ended already are passed over."""
        for group in self._admission.groups():
            for number, entry in [*group.open.items()]:
                if entry.ticket != ticket:
                    continue
                if entry.row >= 0 and number in group.fresh and number >= group.started:
                    group.unwanted.add(number)
                elif entry.row >= 0:
                    group.killed.append(number)
                self._forget(group, number)

    def settle(self) -> list[Sample]:
        """Read the chunks under way; returns the samples that ended in them."""
        samples = []
        while self._under_way:
            samples += self._read()
        return samples

    def partials(self) -> list[Partial]:
        """What is there of all samples that have not ended, by ticket and number, as far as chunks were read."""
        found = [
            self._admission.transcripts.partial(entry.row, number, entry.ticket)
            if entry.row >= 0
            else replace(entry.partial, ticket=entry.ticket)
            for group in self._admission.groups()
            for number, entry in group.open.items()
        ]
        return sorted(found, key=lambda own: (own.ticket, own.sample))

    def withdraw(self) -> Withdrawn:
        """Take everything out; what has not ended can be submitted again as partials, here or elsewhere."""
        samples = self.settle()
        partials = self.partials()
        self._admission.clear()
        return Withdrawn(samples, partials)

    def close(self) -> None:
        """Drop everything that is in work, and the device's memory."""
        self._under_way.clear()
        self._admission.clear()
        self._admission.transcripts.close()

    def _count_gap(self) -> None:
        if self._free_since is not None:
            self._counts.host_gap_seconds += time.perf_counter() - self._free_since

    def _start_chunk(self) -> _Chunk:
        admission, table = self._admission, self._admission.table
        with_cuts = self._programs.with_cuts or any(own.request.has_cuts for own in admission.groups_in_slots())
        output, own_end = admission.state.chunk(self._weights, admission.killed(), with_cuts)
        for leaf in (*output, own_end):
            if leaf.is_fully_addressable:
                leaf.copy_to_host_async()
        self._counts.chunks += 1
        self._counts.row_steps += output.tokens.size
        number, self._num_chunks = self._num_chunks, self._num_chunks + 1
        return _Chunk(output, own_end, [*table.groups], admission.rows(), number, table.layout, self._version)

    def _read(self) -> list[Sample]:
        """The samples that ended in the oldest chunk under way."""
        chunk = self._under_way.pop(0)
        fetched = fetch((*chunk.output, chunk.own_end))
        self._free_since = time.perf_counter()
        output, own_end = HostChunk(*fetched[:-1]), fetched[-1]
        self._counts.tokens += int((output.sample >= 0).sum())
        for slot, group in enumerate(chunk.groups):
            if group is not None:
                group.saw(output.sample[slot])
        worked_on = output.last_samples()
        row_of = np.where(worked_on >= 0, np.take_along_axis(chunk.rows, np.maximum(worked_on, 0), axis=1), -1)
        samples, kept = [], {}
        for ended in self._admission.transcripts.record(output, chunk.rows, chunk.version):
            group, number = self._admission.owners[ended.row]
            samples.append(Sample(group.open[number].ticket, number, ended.completion))
            # What a lane has sampled too much has driven earlier columns out of a ring.
            if not (ended.overran and self._admission.state.has_rings):
                kept |= {
                    (slot, lane): KeptSample(number, ended.completion.token_ids)
                    for slot, lane in np.argwhere(row_of == ended.row).tolist()
                }
            if ended.unknown:
                group.killed.append(number)
            self._forget(group, number)
        goes_on = (output.sample[..., -1] >= 0) & (output.finish[..., -1] == 0)
        self._admission.table.observe(chunk.layout, chunk.number, goes_on, own_end, worked_on, kept)
        return samples

    def _forget(self, group: Group, number: int) -> None:
        """Take a sample out, so that no token of it is looked at any more."""
        row = self._admission.remove(group, number)
        if row >= 0:
            for chunk in self._under_way:
                chunk.rows[chunk.rows == row] = -1
