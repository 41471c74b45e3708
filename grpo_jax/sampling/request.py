# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the sampler is asked for and what it answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int32

from grpo_jax.records import Completion


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One prompt and how to sample it.

    Attributes:
        token_ids: The prompt, at least one id.
        noise_id: Names the noise stream, such as the problem's id: the same (seed, step, noise_id, sample) gives the
            same tokens in float32, whatever else is in the batch.
        temperature: 0 is greedy.
        max_tokens: Token limit, at least 1, the stop token counted.
        top_p: As in `SamplingConfig`, like `top_k` and `min_p`.
        top_k: Tokens; 0 is off.
        min_p: Fraction of the largest probability; 0 is off.
        stop_ids: Ids that end the completion beside the model's own, kept as its last token.
        stop_strings: Texts that end the completion; its tokens are cut where the first of them is complete.
        seed: Takes the place of the run's seed.
        sample_limits: Token limit of each sample, at most `max_tokens`; empty leaves it at that. For lengths that are
            known beforehand, as in a benchmark.
    """

    token_ids: Int32[np.ndarray, " T"]
    noise_id: str
    temperature: float
    max_tokens: int
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop_ids: tuple[int, ...] = ()
    stop_strings: tuple[str, ...] = ()
    seed: int | None = None
    sample_limits: tuple[int, ...] = ()

    @property
    def has_cuts(self) -> bool:
        """Whether any of top-p, top-k and min-p is on."""
        return self.top_p < 1.0 or self.top_k > 0 or self.min_p > 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A finished completion: which request, which of its samples."""

    request: int
    sample: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class Partial:
    """A sample that has not ended, or that goes on: what is there of it already.

    Attributes:
        sample: Its number; names the noise with the index of each token.
        token_ids: So far; the next token follows them.
        sampler_logprobs: As in `Completion`, like the next two; 0 for ids that were given.
        truncated_logprobs: 0 for ids that were given.
        versions: -1 for ids that were given.
        ticket: Under which it was submitted; -1 where it never was.
    """

    sample: int
    token_ids: Int32[np.ndarray, " C"]
    sampler_logprobs: Float32[np.ndarray, " C"]
    truncated_logprobs: Float32[np.ndarray, " C"]
    versions: Int32[np.ndarray, " C"]
    ticket: int = -1

    @classmethod
    def fresh(cls, sample: int) -> "Partial":
        """A sample of which there is nothing yet."""
        ids, logprobs = np.zeros(0, np.int32), np.zeros(0, np.float32)
        return cls(sample, ids, logprobs, logprobs, ids)

    @classmethod
    def of(cls, sample: Sample) -> "Partial":
        """A finished sample that is to go on."""
        own = sample.completion
        assert own.versions is not None, "the engine says of every token who sampled it"
        return cls(sample.sample, own.token_ids, own.sampler_logprobs, own.truncated_logprobs, own.versions)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Ids, log-probabilities before and after the cuts, versions."""
        return self.token_ids, self.sampler_logprobs, self.truncated_logprobs, self.versions

    def given(self, token_ids: Sequence[int] | Int32[np.ndarray, " n"]) -> "Partial":
        """The same with ids appended that nobody sampled, such as an environment's answer."""
        ids = np.asarray(token_ids, np.int32)
        zeros = np.zeros(len(ids), np.float32)
        return replace(
            self,
            token_ids=np.concatenate([self.token_ids, ids]),
            sampler_logprobs=np.concatenate([self.sampler_logprobs, zeros]),
            truncated_logprobs=np.concatenate([self.truncated_logprobs, zeros]),
            versions=np.concatenate([self.versions, np.full(len(ids), -1, np.int32)]),
        )


@dataclass(frozen=True, slots=True)
class Room:
    """What requests may need at most, of which the shapes of the device's arrays follow.

    Attributes:
        num_samples: One past the largest number of a sample.
        prompt_tokens: Of the longest prompt.
        completion_tokens: Of the longest completion, given ids counted.
        stop_ids: Of a request, beside the model's own.
    """

    num_samples: int
    prompt_tokens: int
    completion_tokens: int
    stop_ids: int = 0

    @classmethod
    def of(cls, requests: Sequence[SampleRequest], num_samples: int) -> "Room":
        """As much as these requests need."""
        return cls(
            num_samples,
            max(len(request.token_ids) for request in requests),
            max(request.max_tokens for request in requests),
            max(len(request.stop_ids) for request in requests),
        )


def oldest_sampled(versions: Iterable[Int32[np.ndarray, " C"] | None]) -> int | None:
    """Oldest policy version that sampled any of the ids; None where all were given, or it was not noted."""
    sampled = [own[own >= 0] for own in versions if own is not None]
    return min((int(own.min()) for own in sampled if len(own)), default=None)
