# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Completions as they grow on the host, filled a chunk at a time by whole-array copies."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from grpo_jax.records import Completion
from grpo_jax.sampling.decode import STOPPED, ChunkOutput
from grpo_jax.sampling.request import Sample, SampleRequest


class _Ended(NamedTuple):
    request: int
    sample: int
    num_tokens: int
    stopped: bool


class Transcripts:
    """Tokens and log-probabilities of every sample of a call.

    Attributes:
        unfinished: For each request the number of its samples that have not ended.
        started: For each request the number of its samples that some lane has taken up.
    """

    def __init__(self, requests: Sequence[SampleRequest], num_samples: int):
        """Reserve room; the system hands memory out as pages are written, so long limits cost nothing by themselves."""
        shape = (len(requests), num_samples, max(request.max_tokens for request in requests))
        self._tokens = np.zeros(shape, np.int32)
        self._logprobs, self._truncated = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._finished = np.zeros(shape[:2], bool)
        self.unfinished = np.full(len(requests), num_samples)
        self.started = np.zeros(len(requests), np.int64)

    def record(self, output: ChunkOutput, requests: Int32[np.ndarray, " N"]) -> Iterator[Sample]:
        """Take a chunk's tokens in; yields the samples that ended in it.

        Args:
            output: On the host.
            requests: The request of each slot, or -1.
        """
        request = np.broadcast_to(requests[:, None, None], output.sample.shape)
        own = (output.sample >= 0) & (request >= 0)
        places = request[own], output.sample[own], output.place[own]
        self._tokens[places] = output.tokens[own]
        self._logprobs[places] = output.logprobs[own]
        self._truncated[places] = output.truncated_logprobs[own]
        np.maximum.at(self.started, places[0], places[1] + 1)
        finish = output.finish[own]
        last = finish > 0
        for row in zip(*(part[last] for part in (*places, finish)), strict=True):
            request_index, sample, place, how = (int(value) for value in row)
            yield self._end(_Ended(request_index, sample, place + 1, how == STOPPED))

    def _end(self, ended: _Ended) -> Sample:
        self._finished[ended.request, ended.sample] = True
        self.unfinished[ended.request] -= 1
        ids, logprobs, truncated = (
            buffer[ended.request, ended.sample, : ended.num_tokens].copy()
            for buffer in (self._tokens, self._logprobs, self._truncated)
        )
        completion = Completion(ids, logprobs, "stop" if ended.stopped else "length", truncated)
        return Sample(ended.request, ended.sample, completion)
