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
from grpo_jax.sampling.request import Partial
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

    def last_samples(self) -> Int32[np.ndarray, "N C"]:
        """The last sample that each lane worked on; -1 where it had none."""
        last = self.sample.shape[-1] - 1 - np.argmax(self.sample[..., ::-1] >= 0, axis=-1)
        return np.take_along_axis(self.sample, last[..., None], axis=-1)[..., 0]


class Ended(NamedTuple):
    """A sample that ended in a chunk.

    Attributes:
        row: Its row.
        completion: All of it.
        unknown: Whether the device goes on with it, as it knows no stop strings.
        overran: Whether the device has sampled more of it than it keeps.
    """

    row: int
    completion: Completion
    unknown: bool
    overran: bool


class _End(NamedTuple):
    num_tokens: int
    stopped: bool
    unknown: bool = False
    overran: bool = False


class _Search(NamedTuple):
    """The search for a row's stop strings, and the tokens before the first that it is fed with."""

    search: StopSearch
    offset: int


class Transcripts:
    """Tokens and log-probabilities of the samples in slots, one a row, and the searches for strings that end them."""

    def __init__(self, num_rows: int, num_tokens: int, decode: Decode | None):
        """Reserve room; the system hands memory out as pages are written, so long limits cost nothing by themselves.

        Args:
            num_rows: Samples at once.
            num_tokens: Of the longest one.
            decode: Needed where a request has stop strings.
        """
        shape = (num_rows, num_tokens)
        self._tokens, self._versions = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        self._logprobs, self._truncated = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._lengths = np.zeros(num_rows, np.int64)
        self._free = list(range(num_rows))[::-1]
        self._decode, self._threads = decode, ThreadPoolExecutor(SEARCH_THREADS, "stop-strings")
        self._searches: dict[int, _Search] = {}

    def begin(self, partial: Partial, strings: Sequence[str]) -> int:
        """Take a row for a sample, with what is there of it already; returns the row."""
        row, length = self._free.pop(), len(partial.token_ids)
        for buffer, values in zip(self._buffers, partial.arrays, strict=True):
            buffer[row, :length] = values
        self._lengths[row] = length
        if strings:
            self._searches[row] = self._search_after(partial, strings)
        return row

    def release(self, row: int) -> None:
        """Give a row back."""
        self._searches.pop(row, None)
        self._free.append(row)

    def partial(self, row: int, sample: int, ticket: int) -> Partial:
        """What is there of a sample that has not ended."""
        return Partial(sample, *self._copies(row, int(self._lengths[row])), ticket=ticket)

    def oldest_version(self, row: int) -> int | None:
        """Of the weights that sampled any token of a row; None where there is none."""
        versions = self._versions[row, : self._lengths[row]]
        return min((int(version) for version in np.unique(versions) if version >= 0), default=None)

    def record(self, output: HostChunk, rows: Int32[np.ndarray, "N G"], version: int) -> list[Ended]:
        """Take a chunk's tokens in.

        Args:
            output: On the host.
            rows: The row of each sample of each slot's prompt; -1 where its tokens are to be dropped, as those are that
                the device sampled after a stop string.
            version: Of the weights that sampled the chunk.
        """
        slots = np.arange(len(rows))[:, None, None]
        row_of = np.where(output.sample >= 0, rows[slots, np.maximum(output.sample, 0)], -1)
        own = row_of >= 0
        places = row_of[own], output.place[own]
        self._tokens[places] = output.tokens[own]
        self._logprobs[places] = output.logprobs[own]
        self._truncated[places] = output.truncated_logprobs[own]
        self._versions[places] = version
        np.maximum.at(self._lengths, places[0], places[1] + 1)
        finish = output.finish[own]
        last = finish > 0
        ends = {
            int(row): _End(int(place) + 1, bool(how == STOPPED))
            for row, place, how in zip(*(part[last] for part in (*places, finish)), strict=True)
        }
        for row, num_tokens in self._stop_strings(*places):
            unknown = row not in ends
            overran = unknown or ends[row].num_tokens > num_tokens
            ends[row] = _End(num_tokens, stopped=True, unknown=unknown, overran=overran)
        return [self._ended(row, end) for row, end in ends.items()]

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    @property
    def _buffers(self) -> tuple[np.ndarray, ...]:
        return self._tokens, self._logprobs, self._truncated, self._versions

    def _copies(self, row: int, length: int) -> Iterator[np.ndarray]:
        return (buffer[row, :length].copy() for buffer in self._buffers)

    def _search_after(self, partial: Partial, strings: Sequence[str]) -> _Search:
        """A search that knows what was sampled since ids were last given, unless that has ended at a string before."""
        assert self._decode is not None
        given = np.flatnonzero(partial.versions < 0)
        offset = int(given[-1]) + 1 if len(given) else 0
        search = StopSearch(self._decode, strings)
        if search.feed(partial.token_ids[offset:].tolist()) is None:
            return _Search(search, offset)
        return _Search(StopSearch(self._decode, strings), len(partial.token_ids))

    def _stop_strings(self, rows: np.ndarray, places: np.ndarray) -> list[tuple[int, int]]:
        """The rows of the chunk in which a stop string is complete now, and the tokens that each keeps."""
        if not self._searches:
            return []
        chosen = np.isin(rows, list(self._searches))
        grown = np.unique(np.stack([rows[chosen], places[chosen]]), axis=1)
        first: dict[int, int] = {}
        past: dict[int, int] = {}
        for row, place in grown.T.tolist():
            first.setdefault(row, place)
            past[row] = place + 1
        found = self._threads.map(self._search, first, first.values(), past.values())
        return [(row, keep) for row, keep in zip(first, found, strict=True) if keep is not None]

    def _search(self, row: int, first: int, past: int) -> int | None:
        search, offset = self._searches[row]
        keep = search.feed(self._tokens[row, first:past].tolist())
        return None if keep is None else offset + keep

    def _ended(self, row: int, end: _End) -> Ended:
        ids, logprobs, truncated, versions = self._copies(row, end.num_tokens)
        completion = Completion(ids, logprobs, "stop" if end.stopped else "length", truncated, versions)
        return Ended(row, completion, end.unknown, end.overran)
