# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import itertools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh

from grpo_jax.parallel.mesh import AXIS_NAMES
from grpo_jax.sampling.lane_memory import MOST_LANES, LaneMemory, batch_shape, lane_memory
from grpo_jax.sampling.state import empty_state, own_columns
from tests.fakes.architectures import ARCHITECTURES
from tests.fakes.tiny_model import tiny_architecture

ARCH = tiny_architecture()
ONE = AbstractMesh((1, 1, 1), AXIS_NAMES)


def memory(arch=ARCH, mesh=ONE, free_bytes=0, **changes):
    sizes = {"itemsize": 4, "max_prompt_tokens": 64, "max_completion_tokens": 120, "chunk_tokens": 8}
    return lane_memory(arch, mesh, **{**sizes, **changes}, free_bytes=free_bytes)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_caches_on_the_device_take_what_is_planned(family):
    arch = ARCHITECTURES[family]
    found = memory(arch, max_prompt_tokens=64, max_completion_tokens=57, chunk_tokens=8)
    slots, lanes = jax.eval_shape(
        lambda: empty_state(3, 4, 64, tuple(own_columns(arch, 64, 8)), 1, 4, arch=arch, dtype=jnp.float32)
    )
    prompts, own = (sum(leaf.size * 4 for leaf in jax.tree.leaves(kv)) for kv in (slots.prompt_kv, lanes.own_kv))
    assert found.slot_bytes == prompts // 3
    # One size of cache alone: nothing grows. Beside it stand the chunk's stage and the logits.
    stage = 2 * arch.num_layers * 8 * arch.num_kv_heads * arch.head_size * 4
    assert found.lane_bytes == own // 12 + stage + 8 * arch.vocab_size


def test_all_samples_are_decoded_at_once_where_they_fit():
    plenty = memory(free_bytes=2**40)
    assert plenty.lanes(8, 4) == 32
    assert plenty.lanes(8, 4, slots=3) == 12
    assert plenty.lanes(1000, 8) == MOST_LANES


@pytest.mark.parametrize(
    ("num_prompts", "num_samples", "slots"), [(8, 8, None), (64, 1, None), (3, 16, None), (16, 4, 5)]
)
def test_chosen_lanes_fit_and_the_next_size_does_not(num_prompts, num_samples, slots):
    sizes = LaneMemory(slot_bytes=300, lane_bytes=1000, free_bytes=0, num_shards=1)
    everything = min(slots or num_prompts, num_prompts) * num_samples
    for free in range(1500, 90_000, 700):
        chosen = dataclasses.replace(sizes, free_bytes=free).lanes(num_prompts, num_samples, slots)
        fits = sizes.needed(*batch_shape(num_prompts, num_samples, slots, chosen)) <= free
        assert fits or chosen == 1
        larger = [size for size in (*(2**n for n in range(1, 8)), everything) if chosen < size <= everything]
        if larger:
            assert sizes.needed(*batch_shape(num_prompts, num_samples, slots, min(larger))) > free


def test_devices_that_share_prompts_add_their_memory():
    one = memory(free_bytes=10_000_000)
    four = memory(mesh=AbstractMesh((2, 2, 1), AXIS_NAMES), free_bytes=10_000_000)
    assert (one.num_shards, four.num_shards) == (1, 4)
    assert four.needed(8, 4) == one.needed(2, 4)
    assert four.lanes(64, 8) == 4 * one.lanes(16, 8)


def test_no_memory_at_all_leaves_one_lane_a_device():
    assert memory().lanes(8, 8) == 1
    assert memory(mesh=AbstractMesh((4, 1, 1), AXIS_NAMES)).lanes(8, 8) == 4


def test_batch_shape_never_exceeds_the_lanes_it_is_given():
    for prompts, samples, lanes in itertools.product((1, 3, 8, 64), (1, 2, 8, 16), (1, 4, 24, 256)):
        slots, each = batch_shape(prompts, samples, None, lanes)
        assert slots * each <= lanes
        assert slots <= prompts
        assert each <= samples
