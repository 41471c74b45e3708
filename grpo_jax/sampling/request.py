# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the sampler is asked for and what it answers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

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
