# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.sampling.decode import ChunkOutput, Lanes, Slots, compact, decode_chunk, grow, prefill
from grpo_jax.sampling.programs import empty_cache, lane_keys
from grpo_jax.sampling.serving import serving_view
from grpo_jax.sampling.token_choice import Cuts
from tests.fakes.architectures import ARCHITECTURES, lively_params

ARCH = ARCHITECTURES["qwen2"]
NO_STOPS = np.zeros(0, np.int32)

view = jax.jit(partial(serving_view, arch=ARCH, dtype=jnp.float32))
prefill_compiled = jax.jit(partial(prefill, arch=ARCH))
chunk_compiled = jax.jit(
    partial(decode_chunk, stop_ids=NO_STOPS, arch=ARCH, with_cuts=False), static_argnames="num_steps"
)


def start(limits: list[int], num_samples: int = 2, num_columns: int = 8) -> tuple[dict, Slots, Lanes]:
    """Serving weights, and slots and lanes of prompts of three tokens each."""
    weights = view(lively_params(ARCH))
    num_slots = len(limits)
    prompts = np.random.default_rng(0).integers(0, 256, (num_slots, 3))
    slots = Slots(
        prompt_kv=prefill_compiled(weights, jnp.asarray(prompts)),
        prompt_length=jnp.full(num_slots, 3),
        temperature=jnp.ones(num_slots),
        limit=jnp.asarray(limits),
        cuts=Cuts(jnp.ones(num_slots), jnp.zeros(num_slots, jnp.int32), jnp.zeros(num_slots)),
    )
    lanes = Lanes(
        own_kv=empty_cache(num_slots, num_samples, num_columns, arch=ARCH, dtype=jnp.float32),
        token=jnp.asarray(np.repeat(prompts[:, -1:], num_samples, axis=1), jnp.int32),
        done=jnp.zeros((num_slots, num_samples), bool),
        key=lane_keys(jnp.uint32(0), jnp.uint32(0), jnp.arange(num_slots, dtype=jnp.uint32), num_samples),
    )
    return weights, slots, lanes


def run(weights: dict, slots: Slots, lanes: Lanes, first: int = 0, num_steps: int = 6) -> tuple[Lanes, ChunkOutput]:
    return chunk_compiled(weights, slots, lanes, jnp.int32(first), num_steps=num_steps)


def written_columns(lanes: Lanes) -> np.ndarray:
    """Cache columns that any lane has written."""
    keys = np.asarray(lanes.own_kv[0][0])
    return np.flatnonzero(np.abs(keys).max(axis=(0, 1, 2, 4)))


def test_a_chunk_ends_as_soon_as_every_lane_is_done_and_not_before() -> None:
    lanes, output = run(*start([3, 5]))
    assert written_columns(lanes).tolist() == [0, 1, 2, 3, 4]
    assert np.asarray(lanes.done).all()
    used = np.asarray(output.logprobs) != 0
    assert used.sum(axis=2).tolist() == [[3, 3], [5, 5]]
    assert not np.asarray(output.tokens)[~used].any()


def test_a_chunk_whose_lanes_are_all_done_writes_nothing() -> None:
    weights, slots, lanes = start([4, 4])
    lanes, output = run(weights, slots, lanes._replace(done=jnp.ones((2, 2), bool)))
    assert not len(written_columns(lanes))
    assert not any(np.asarray(values).any() for values in output)


def test_growing_and_compacting_between_chunks_leave_the_kept_lanes_alone() -> None:
    weights, slots, lanes = start([12, 12, 12], num_columns=6)
    half, _ = run(weights, slots, lanes)
    lanes = half._replace(own_kv=grow(half.own_kv, 12))
    _, whole = run(weights, slots, lanes, first=6)
    slots, lanes = compact(
        slots, lanes, jnp.array([2, 0]), jnp.array([[1, 0], [0, 1]]), jnp.array([[False, False], [False, True]])
    )
    _, rest = run(weights, slots, lanes, first=6)
    np.testing.assert_array_equal(rest.tokens[0], whole.tokens[2, ::-1])
    np.testing.assert_array_equal(rest.tokens[1, 0], whole.tokens[0, 0])
    np.testing.assert_allclose(rest.logprobs[0], whole.logprobs[2, ::-1], atol=1e-5)
    assert not np.asarray(rest.tokens[1, 1]).any(), "a lane marked unused went on"
