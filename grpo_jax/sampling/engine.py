# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The sampler: takes prompts as token ids, yields completions as they end. It never sees text."""

from collections.abc import Iterator, Sequence

from grpo_jax.models.transformer import Params
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Sample, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.wave import Wave


class SamplingEngine:
    """Draws completions with the compiled programs of one model on one mesh; weights are an argument of every call."""

    def __init__(self, programs: Programs, slots: int | None = None):
        """Set up the sampler; each program compiles when first used.

        Args:
            programs: Of the model.
            slots: Prompts decoded at once; None is all of a call.
        """
        self._programs, self._slots = programs, slots

    def serve(self, params: Params) -> ServingWeights:
        """The rollout copy of the weights: adapters merged, cast, unstacked and resharded by one program."""
        return self._programs.serve(params)

    def sample(
        self, weights: ServingWeights, requests: Sequence[SampleRequest], num_samples: int, *, seed: int, step: int
    ) -> Iterator[Sample]:
        """Yield `num_samples` completions of every request, each as soon as its chunk ends.

        Args:
            weights: From `serve`.
            requests: The prompts; none longer than `max_prompt_tokens`.
            num_samples: Completions of each prompt (G).
            seed: Run seed, 0 or more.
            step: Training step, 0 or more: the same problem gets new noise each step.

        Raises:
            ValueError: A prompt exceeds its bound, or with its token limit the model's context.
        """
        for request in requests:
            self._check(request)
        wave = self._slots or len(requests)
        for first in range(0, len(requests), wave):
            ended = Wave(self._programs, weights, requests[first : first + wave], num_samples, seed, step).run()
            yield from (Sample(first + slot, sample, completion) for slot, sample, completion in ended)

    def _check(self, request: SampleRequest) -> None:
        length = len(request.token_ids)
        if length > self._programs.max_prompt_tokens:
            raise ValueError(f"prompt of {length} tokens exceeds max_prompt_tokens={self._programs.max_prompt_tokens}")
        if length + request.max_tokens > self._programs.max_positions:
            raise ValueError(
                f"max_tokens={request.max_tokens} after a prompt of {length} tokens exceeds the model's context of "
                f"{self._programs.max_positions}"
            )
