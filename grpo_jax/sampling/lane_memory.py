# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How many samples are decoded at once: as many as fit the memory that is free, up to where more no longer pay."""

import math
from dataclasses import dataclass

from jax.sharding import AbstractMesh, Mesh

from grpo_jax.models.architecture import Architecture
from grpo_jax.parallel.rules import MESH_AXES
from grpo_jax.sampling.buckets import bucket_of, buckets_up_to, column_buckets
from grpo_jax.sampling.state import own_columns

MOST_LANES = 256
"""Of one device. Beyond FLOP/s over bandwidth (H200 184, TPU v5p 166, v5e 240 rows) time grows with the rows."""
LANES_SHARING = 4
"""Lanes of a prompt below which further slots are not worth what sharing it saves."""
USABLE = 0.9
"""Share of the free memory that is planned with; the rest is for programs and what fragments leave."""


@dataclass(frozen=True)
class LaneMemory:
    """What a device needs for sampling beside the weights, and what it has.

    Attributes:
        slot_bytes: For one prompt: its keys and values.
        lane_bytes: For one sample: its own keys and values at the token limit, while its cache grows for the last time,
            and its logits.
        free_bytes: What a device has for both.
        num_shards: Devices that prompts are split over.
    """

    slot_bytes: int
    lane_bytes: int
    free_bytes: int
    num_shards: int

    def needed(self, num_slots: int, num_lanes: int) -> int:
        """Bytes a device, of `num_slots` prompts over all devices with `num_lanes` samples each."""
        slots = -(-num_slots // self.num_shards)
        return slots * (self.slot_bytes + num_lanes * self.lane_bytes)

    def lanes(self, num_prompts: int, num_samples: int, slots: int | None = None) -> int:
        """Samples to decode at once on all devices: all of a call, or the largest power of two that fits.

        Where not even one a device fits, one a device: the plan says that it does not fit, and so will the allocation.

        Args:
            num_prompts: Prompts of the call.
            num_samples: Samples of each.
            slots: Prompts at once, where that is given.
        """
        everything = (min(slots, num_prompts) if slots else num_prompts) * num_samples
        most = MOST_LANES * self.num_shards
        lanes = everything if everything <= most else most
        while lanes > self.num_shards:
            if self.needed(*batch_shape(num_prompts, num_samples, slots, lanes)) <= self.free_bytes:
                return lanes
            lanes = 1 << ((lanes - 1).bit_length() - 1)
        return self.num_shards


def lane_memory(
    arch: Architecture,
    mesh: Mesh | AbstractMesh,
    *,
    itemsize: int,
    max_prompt_tokens: int,
    max_completion_tokens: int,
    chunk_tokens: int,
    free_bytes: int,
) -> LaneMemory:
    """Work out what lanes need from shapes alone.

    Args:
        arch: The model.
        mesh: Sizes of its axes.
        itemsize: Bytes of a number of the cache.
        max_prompt_tokens: Longest prompt.
        max_completion_tokens: Longest completion of any domain.
        chunk_tokens: Decode steps of a chunk.
        free_bytes: Of a device, without the serving weights and all that stays beside them.
    """
    tensor = mesh.shape["tensor"]
    kv_heads = arch.num_kv_heads // tensor if arch.num_kv_heads % tensor == 0 else arch.num_kv_heads
    column = 2 * kv_heads * arch.head_size * itemsize
    prompt = bucket_of(max_prompt_tokens, buckets_up_to(max_prompt_tokens))
    buckets = column_buckets(max_completion_tokens, chunk_tokens)
    # Old and new caches stand beside each other when the last bucket is entered; the stage is there throughout.
    own = sum(sum(own_columns(arch, size, chunk_tokens)) for size in buckets[-2:])
    stage = arch.num_layers * chunk_tokens
    vocabulary = -(-arch.vocab_size // tensor)
    return LaneMemory(
        slot_bytes=prompt * arch.num_layers * column,
        lane_bytes=(own + stage) * column + 2 * 4 * vocabulary,
        free_bytes=max(0, int(USABLE * free_bytes)),
        num_shards=math.prod(mesh.shape[axis] for axis in MESH_AXES["batch"]),
    )


def batch_shape(num_prompts: int, num_samples: int, slots: int | None, lanes: int | None) -> tuple[int, int]:
    """Slots, and lanes of each slot, for a call.

    Args:
        num_prompts: Prompts of the call.
        num_samples: Samples of each.
        slots: Prompts at once, or None.
        lanes: Samples at once in all slots, or None.
    """
    if lanes is None:
        return min(slots or num_prompts, num_prompts), num_samples
    if slots is None:
        # A prompt's keys are read once for all its lanes, so few lanes a slot share little.
        slots = lanes // min(num_samples, max(LANES_SHARING, lanes // num_prompts))
    slots = max(1, min(slots, num_prompts, lanes))
    return slots, max(1, min(num_samples, lanes // slots))
