# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Completions as they grow on the host, filled a chunk at a time by whole-array copies."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int8, Int32

from grpo_jax.records import Completion
from grpo_jax.sampling.decode import STOPPED
from grpo_jax.sampling.request import Sample, SampleRequest
from grpo_jax.sampling.stop_strings import StopSearch

Decode = Callable[[Sequence[int]], str]
"""Text of ids, special tokens left out, such as a tokenizer's `decode`."""

SEARCH_THREADS = 8
"""Tokenizers decode outside Python's lock, so the searches of a chunk's lanes run side by side."""


class HostChunk(NamedTuple):
    """A `ChunkOutput` on the host."""

    tokens: Int32[np.ndarray, "N C chunk"]
    logprobs: Float32[np.ndarray, "N C chunk"]
    truncated_logprobs: Float32[np.ndarray, "N C chunk"]
    sample: Int32[np.ndarray, "N C chunk"]
    place: Int32[np.ndarray, "N C chunk"]
    finish: Int8[np.ndarray, "N C chunk"]


class _End(NamedTuple):
    num_tokens: int
    stopped: bool


class Transcripts:
    """Tokens and log-probabilities of every sample of a call, and the searches for the strings that end them.

    Attributes:
        unfinished: For each request the number of its samples that have not ended.
        started: For each request the number of its samples that some lane has taken up.
        killed: Samples by request that ended at a stop string, of which the device does not know.
    """

    def __init__(self, requests: Sequence[SampleRequest], num_samples: int, decode: Decode | None):
        """Reserve room; the system hands memory out as pages are written, so long limits cost nothing by themselves.

        Args:
            requests: All of a call.
            num_samples: Samples of each.
            decode: Needed where a request has stop strings.

        Raises:
            ValueError: It is needed and missing.
        """
        shape = (len(requests), num_samples, max(request.max_tokens for request in requests))
        self._tokens = np.zeros(shape, np.int32)
        self._logprobs, self._truncated = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._finished = np.zeros(shape[:2], bool)
        self.unfinished = np.full(len(requests), num_samples)
        self.started = np.zeros(len(requests), np.int64)
        self.killed: dict[int, list[int]] = {}
        self._strings = [request.stop_strings for request in requests]
        if decode is None and any(self._strings):
            raise ValueError("a request has stop_strings, and the sampler was made without a tokenizer's decode")
        self._decode, self._threads = decode, ThreadPoolExecutor(SEARCH_THREADS, "stop-strings")
        self._searches: dict[tuple[int, int], StopSearch] = {}

    def record(self, output: HostChunk, requests: Int32[np.ndarray, " N"]) -> Iterator[Sample]:
        """Take a chunk's tokens in; yields the samples that ended in it.

        Args:
            output: On the host.
            requests: The request of each slot, or -1.
        """
        request = np.broadcast_to(requests[:, None, None], output.sample.shape)
        # Tokens that the device sampled after a stop string are dropped.
        own = (output.sample >= 0) & (request >= 0) & ~self._finished[request, output.sample]
        places = request[own], output.sample[own], output.place[own]
        self._tokens[places] = output.tokens[own]
        self._logprobs[places] = output.logprobs[own]
        self._truncated[places] = output.truncated_logprobs[own]
        np.maximum.at(self.started, places[0], places[1] + 1)
        finish = output.finish[own]
        last = finish > 0
        ends = {
            (int(request), int(sample)): _End(int(place) + 1, bool(how == STOPPED))
            for request, sample, place, how in zip(*(part[last] for part in (*places, finish)), strict=True)
        }
        for which, num_tokens in self._stop_strings(places):
            if which not in ends:
                self.killed.setdefault(which[0], []).append(which[1])
            ends[which] = _End(num_tokens, stopped=True)
        for which, end in ends.items():
            yield self._end(which, end)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _stop_strings(self, places: tuple[np.ndarray, ...]) -> list[tuple[tuple[int, int], int]]:
        """The samples of the chunk in which a stop string is complete now, and the tokens that each keeps."""
        if not any(self._strings):
            return []
        chosen = np.array([bool(strings) for strings in self._strings])[places[0]]
        grown = np.unique(np.stack([part[chosen] for part in places]), axis=1)
        first: dict[tuple[int, int], int] = {}
        past: dict[tuple[int, int], int] = {}
        for request, sample, place in grown.T.tolist():
            first.setdefault((request, sample), place)
            past[request, sample] = place + 1
        found = self._threads.map(self._search, first, first.values(), past.values())
        return [(which, keep) for which, keep in zip(first, found, strict=True) if keep is not None]

    def _search(self, which: tuple[int, int], first: int, past: int) -> int | None:
        assert self._decode is not None
        if which not in self._searches:
            self._searches[which] = StopSearch(self._decode, self._strings[which[0]])
        return self._searches[which].feed(self._tokens[which][first:past].tolist())

    def _end(self, which: tuple[int, int], end: _End) -> Sample:
        self._finished[which] = True
        self._searches.pop(which, None)
        self.unfinished[which[0]] -= 1
        ids, logprobs, truncated = (
            buffer[which][: end.num_tokens].copy() for buffer in (self._tokens, self._logprobs, self._truncated)
        )
        completion = Completion(ids, logprobs, "stop" if end.stopped else "length", truncated)
        return Sample(*which, completion)
