# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What is compiled ahead for the first batch is what the first batch then runs."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.config import ParallelConfig
from grpo_jax.models.lora import LoraSpec, join
from grpo_jax.parallel.compile_ahead import CompileAhead, shapes_of
from grpo_jax.sampling.request import Room, SampleRequest
from tests.fakes.compiled_ahead import compilations, finish
from tests.fakes.tiny_session import tiny_session

NUM_PROMPTS, NUM_SAMPLES, LIMIT = 5, 3, 12


@pytest.mark.parametrize(
    ("num_devices", "parallel", "lora"),
    [(1, ParallelConfig(), None), (4, ParallelConfig(fsdp=2, tensor=2), LoraSpec(2, 2.0, ("query", "down")))],
    ids=["one_device", "adapters_on_a_mesh"],
)
def test_the_first_chunk_compiles_nothing_and_nothing_is_left_over(num_devices, parallel, lora, caplog):
    caplog.set_level(logging.INFO)
    session, thread = tiny_session(parallel, num_devices, lora=lora), CompileAhead(threads=1)
    engine, params, room = session.engine, session.params, Room(NUM_SAMPLES, 9, LIMIT)
    if lora is not None:
        adapters = jax.jit(
            lambda: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), session.trained_shapes),
            out_shardings=jax.tree.map(lambda leaf: leaf.sharding, session.trained_shapes),
        )
        params = join(params, adapters())
    engine.compile_ahead(thread, shapes_of(params), room=room, num_prompts=NUM_PROMPTS)
    finish(thread)
    traced = dict(engine.num_compiled)
    assert set(traced) == {"serve", "empty_state", "prefill", "put_groups", "chunk"}
    with (
        compilations() as names,
        engine.open(engine.serve(params), room=room, num_prompts=NUM_PROMPTS, seed=0) as live,
    ):
        for number in range(NUM_PROMPTS):
            ids = np.arange(1, 6 + number, dtype=np.int32)
            live.submit(SampleRequest(ids, str(number), 1.0, LIMIT), NUM_SAMPLES)
        live.advance()
    assert dict(engine.num_compiled) == traced
    assert not {f"jit({program})" for program in traced} & set(names)
    thread.check()
    assert "compiled ahead" not in caplog.text
    thread.close()
