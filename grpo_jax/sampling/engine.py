# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The sampler: takes prompts as token ids, yields completions as they end. It never sees text."""

from collections.abc import Iterator, Mapping, Sequence

import jax
from jax.sharding import Mesh

from grpo_jax.models.transformer import Params
from grpo_jax.parallel.compile_ahead import CompileAhead
from grpo_jax.sampling.counts import Counts
from grpo_jax.sampling.first_batch import compile_first_batch
from grpo_jax.sampling.lane_memory import LaneMemory, batch_shape
from grpo_jax.sampling.live import LiveSampling
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Room, Sample, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.transcripts import Decode


class SamplingEngine:
    """Draws completions with the compiled programs of one model on one mesh; weights are an argument of every call.

    Attributes:
        counts: Work done since the sampler was made.
    """

    def __init__(
        self,
        programs: Programs,
        slots: int | None = None,
        lanes: int | None = None,
        memory: LaneMemory | None = None,
        *,
        decode: Decode | None = None,
    ):
        """Set up the sampler; each program compiles when first used.

        Args:
            programs: Of the model.
            slots: Prompts decoded at once on all devices; None follows from the lanes, or is all of a call.
            lanes: Samples decoded at once on all devices; None is as many as fit `memory`.
            memory: Of a device; None decodes all samples of the prompts in slots at once.
            decode: Text of ids, special tokens left out; needed for stop strings.
        """
        self._programs, self._slots, self._lanes, self._memory = programs, slots, lanes, memory
        self._decode = decode
        self.counts = Counts()

    @property
    def num_compiled(self) -> Mapping[str, int]:
        """Programs compiled so far, by name; `chunk` is decode."""
        return self._programs.num_compiled

    @property
    def mesh(self) -> Mesh:
        """Devices that sample."""
        return self._programs.mesh

    def serve(self, params: Params) -> ServingWeights:
        """The rollout copy of the weights: adapters merged, cast, unstacked and resharded by one program.

        Where sampling has devices of its own, the copy then goes to them.
        """
        return jax.device_put(self._programs.serve(params), self._programs.serving_shardings)

    def compile_ahead(self, thread: CompileAhead, params: Params, *, room: Room, num_prompts: int) -> None:
        """Have the programs compiled that a run's first batch needs.

        Args:
            thread: Compiles them.
            params: Shapes of what `serve` will get, with their shardings.
            room: As for `open`; `prompt_tokens` is the length of the longest prompt of the batch.
            num_prompts: As for `open`.
        """
        num_slots, num_lanes = self._batch_shape(num_prompts, room)
        compile_first_batch(
            self._programs, thread, params, room, num_prompts=num_prompts, num_slots=num_slots, num_lanes=num_lanes
        )

    def sample(
        self,
        weights: ServingWeights,
        requests: Sequence[SampleRequest],
        num_samples: int,
        *,
        seed: int,
        step: int,
        policy_version: int = 0,
    ) -> Iterator[Sample]:
        """Yield `num_samples` completions of every request, each as soon as its chunk ends.

        Args:
            weights: From `serve`.
            requests: The prompts; none longer than `max_prompt_tokens`.
            num_samples: Completions of each prompt (G).
            seed: Run seed, 0 or more.
            step: Training step, 0 or more: the same problem gets new noise each step.
            policy_version: Of the weights, as in `open`.

        Raises:
            ValueError: A prompt exceeds its bound, or with its token limit the model's context; limits of samples do
                not fit the samples; stop strings come without `decode`.
            DeviceMemoryError: The caches do not fit a device.
        """
        for request in requests:
            self._check(request)
        if not requests:
            return
        room = Room.of(requests, num_samples)
        with self.open(weights, room=room, num_prompts=len(requests), seed=seed, policy_version=policy_version) as live:
            for request in requests:
                live.submit(request, num_samples, step=step)
            while not live.idle:
                yield from live.advance()

    def open(
        self, weights: ServingWeights, *, room: Room, num_prompts: int, seed: int, policy_version: int = 0
    ) -> LiveSampling:
        """Sampling that goes on: requests come in at any time.

        Args:
            weights: From `serve`.
            room: What requests will need at most.
            num_prompts: Prompts that will be there at once, of which the batch's shape follows as for a call of
                `sample`.
            seed: Run seed, 0 or more.
            policy_version: Of the weights; samples tell by which version each of their tokens was sampled.
        """
        num_slots, num_lanes = self._batch_shape(num_prompts, room)
        return LiveSampling(
            self._programs,
            weights,
            room,
            num_slots=num_slots,
            num_lanes=num_lanes,
            seed=seed,
            policy_version=policy_version,
            counts=self.counts,
            decode=self._decode,
            check=self._check,
        )

    def batch_shape(self, num_prompts: int, num_samples: int) -> tuple[int, int]:
        """Prompts that a call of this size decodes at once, and samples of each."""
        lanes = self._lanes
        if lanes is None and self._memory:
            lanes = self._memory.lanes(num_prompts, num_samples, self._slots)
        return batch_shape(num_prompts, num_samples, self._slots, lanes)

    def _batch_shape(self, num_prompts: int, room: Room) -> tuple[int, int]:
        """Slots, shared evenly by the devices, and lanes of each."""
        num_slots, num_lanes = self.batch_shape(num_prompts, room.num_samples)
        multiple = self._programs.num_shards
        return -(-num_slots // multiple) * multiple, num_lanes

    def _check(self, request: SampleRequest) -> None:
        length = len(request.token_ids)
        if length > self._programs.max_prompt_tokens:
            raise ValueError(f"prompt of {length} tokens exceeds max_prompt_tokens={self._programs.max_prompt_tokens}")
        if length + request.max_tokens > self._programs.max_positions:
            raise ValueError(
                f"max_tokens={request.max_tokens} after a prompt of {length} tokens exceeds the model's context of "
                f"{self._programs.max_positions}"
            )
