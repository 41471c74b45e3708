# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A live sampler that answers by a function instead of a model, and keeps what it was asked for."""

from collections.abc import Callable, Sequence

import numpy as np

from grpo_jax.records import Completion
from grpo_jax.sampling.request import Partial, Sample, SampleRequest
from tests.fakes.byte_tokenizer import STOP_ID

Answer = Callable[[SampleRequest, Partial], Sequence[int]]


class ScriptedSampler:
    """Answers everything that waits at each advance; the log-probability of token i of a completion is -(i + 1) / 8."""

    def __init__(self, answer: Answer):
        self._answer = answer
        self._waiting: dict[int, tuple[SampleRequest, Partial]] = {}
        self.asked: list[tuple[SampleRequest, Partial]] = []
        self.expecting_more = False

    def submit(self, request: SampleRequest, *, partials: Sequence[Partial], step: int) -> int:
        (partial,) = partials
        self.asked.append((request, partial))
        self._waiting[len(self.asked)] = (request, partial)
        return len(self.asked)

    def cancel(self, ticket: int) -> None:
        self._waiting.pop(ticket, None)

    def advance(self) -> list[Sample]:
        waiting, self._waiting = self._waiting, {}
        return [Sample(ticket, own[1].sample, self._complete(*own)) for ticket, own in waiting.items()]

    def _complete(self, request: SampleRequest, partial: Partial) -> Completion:
        given = len(partial.token_ids)
        new = np.asarray([*self._answer(request, partial)], np.int32)[: request.max_tokens - given]
        logprobs = -(1.0 + given + np.arange(len(new), dtype=np.float32)) / 8
        return Completion(
            np.concatenate([partial.token_ids, new]),
            np.concatenate([partial.sampler_logprobs, logprobs]),
            "stop" if len(new) and new[-1] == STOP_ID else "length",
            np.concatenate([partial.truncated_logprobs, logprobs]),
            np.concatenate([partial.versions, np.full(len(new), 3, np.int32)]),
        )


def saying(text: str) -> list[int]:
    """Ids of a text that the policy ends itself, by the byte tokenizer."""
    return [*text.encode(), STOP_ID]
