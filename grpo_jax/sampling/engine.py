# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The sampler: takes prompts as token ids, yields completions as they end. It never sees text."""

from collections.abc import Iterator, Sequence
from typing import Any

from jax.sharding import Mesh

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.lora import LoraSpec
from grpo_jax.models.transformer import Params
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Sample, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.wave import Wave


class SamplingEngine:
    """Compiled programs and settings of one model on one mesh; weights are an argument of every call."""

    def __init__(
        self,
        arch: Architecture,
        shapes: Params,
        names: Params,
        mesh: Mesh,
        *,
        dtype: Any,
        stop_ids: Sequence[int],
        pad_id: int,
        chunk_tokens: int,
        max_prompt_tokens: int,
        slots: int | None = None,
        lora: LoraSpec | None = None,
    ):
        """Set up the programs; each compiles when first used.

        Args:
            arch: The model.
            shapes: Shapes of its parameters, as `abstract_params` returns them.
            names: Logical dim names of its parameters, likewise.
            mesh: Prompts are split over its batch axes, heads over `tensor`.
            dtype: Compute dtype of the serving view and of the cache.
            stop_ids: Ids that end a completion.
            pad_id: Fill of prompts.
            chunk_tokens: Decode steps of one device program.
            max_prompt_tokens: Longest prompt that will come: the largest prompt bucket.
            slots: Prompts decoded at once; None is all of a call.
            lora: Adapters that come with the parameters of `serve`, to be merged into them.
        """
        self._max_positions, self._max_prompt_tokens, self._slots = arch.max_positions, max_prompt_tokens, slots
        self._programs = Programs(
            arch,
            shapes,
            names,
            mesh,
            dtype=dtype,
            stop_ids=stop_ids,
            pad_id=pad_id,
            chunk_tokens=chunk_tokens,
            max_prompt_tokens=max_prompt_tokens,
            lora=lora,
        )

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
        if length > self._max_prompt_tokens:
            raise ValueError(f"prompt of {length} tokens exceeds max_prompt_tokens={self._max_prompt_tokens}")
        if length + request.max_tokens > self._max_positions:
            raise ValueError(
                f"max_tokens={request.max_tokens} after a prompt of {length} tokens exceeds the model's context of "
                f"{self._max_positions}"
            )
