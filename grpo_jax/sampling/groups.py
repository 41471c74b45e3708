# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Samples that share a slot: those of one prompt under the same settings, submitted together or one by one."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from grpo_jax.sampling.request import Partial, SampleRequest

GroupKey = tuple[object, ...]


@dataclass(eq=False)
class Entry:
    """A sample that has not ended.

    Attributes:
        ticket: Under which it was submitted.
        partial: What was there of it then.
        limit: Its token limit.
        row: Of its transcript; -1 while its prompt waits for a slot, or it for a lane.
    """

    ticket: int
    partial: Partial
    limit: int
    row: int = -1


class Group:
    """A prompt and its samples that have not ended.

    Lanes of its slot take up the samples of `fresh` by themselves, in their order; every other one is put into a lane
    by the host, once no lane takes up anything by itself.

    Attributes:
        key: What makes prompts share a slot.
        request: The prompt and its settings.
        step: Training step, part of the noise.
        waiting: Whether it waits for a slot.
        open: Samples that have not ended, by number.
        to_place: Those of them that the host has to put into a lane.
        fresh: Numbers of samples that lanes take up.
        started: One past the last of `fresh` that a lane has taken up.
        rows: Row of each sample, -1 where it has none.
        killed: Samples that have ended without the device knowing.
        unwanted: Samples of `fresh` that were cancelled before a lane took them up.
    """

    def __init__(self, key: GroupKey, request: SampleRequest, step: int, num_samples: int):
        self.key, self.request, self.step = key, request, step
        self.waiting = False
        self.open: dict[int, Entry] = {}
        self.to_place: list[Entry] = []
        self.fresh = range(0)
        self.started = 0
        self.rows: Int32[np.ndarray, " G"] = np.full(num_samples, -1, np.int32)
        self.killed: list[int] = []
        self.unwanted: set[int] = set()

    @property
    def refills(self) -> bool:
        """Whether lanes have samples to take up."""
        return bool(self.open) and self.started < self.fresh.stop

    @property
    def num_waiting(self) -> int:
        """Samples that no lane has taken up."""
        if self.waiting:
            return len(self.open)
        return len(self.to_place) + sum(number in self.open for number in range(self.started, self.fresh.stop))

    def fits(self, samples: Iterable[int]) -> bool:
        """Whether samples of these numbers may join: none of them is in work."""
        return not any(number in self.open or number in self.unwanted for number in samples)

    def enter_slot(self) -> None:
        """Decide which samples lanes take up by themselves: the longest run of numbers without a token."""
        self.waiting = False
        empty = sorted(number for number, entry in self.open.items() if not len(entry.partial.token_ids))
        runs = np.split(np.array(empty, np.int64), np.flatnonzero(np.diff(empty) != 1) + 1) if empty else []
        longest = max(runs, key=len, default=[])
        self.fresh = range(int(longest[0]), int(longest[-1]) + 1) if len(longest) else range(0)
        self.started = self.fresh.start
        self.to_place = [entry for number, entry in self.open.items() if number not in self.fresh]
        self.killed, self.unwanted = [], set()

    def saw(self, samples: Int32[np.ndarray, "C chunk"]) -> None:
        """Take note of the samples that lanes of a slot worked on in a chunk."""
        if not self.refills and not self.unwanted:
            return
        own = samples[(samples >= self.fresh.start) & (samples < self.fresh.stop)]
        if own.size:
            self.started = max(self.started, int(own.max()) + 1)
        for number in self.unwanted.intersection(own.tolist()):
            self.unwanted.discard(number)
            self.killed.append(number)


def group_key(request: SampleRequest, seed: int, step: int) -> GroupKey:
    """Equal for requests whose samples may share a slot."""
    return (
        request.token_ids.tobytes(),
        request.noise_id,
        request.temperature,
        (request.top_p, request.top_k, request.min_p),
        request.stop_ids,
        request.stop_strings,
        seed if request.seed is None else request.seed,
        step,
    )
