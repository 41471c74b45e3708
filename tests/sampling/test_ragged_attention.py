# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from grpo_jax.config import ParallelConfig
from grpo_jax.models.attention_parts import merge_parts
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.sampling.kernels.ragged_columns import ragged_reference
from grpo_jax.sampling.ragged_attention import DecodeAttention, attend_ragged

SLOTS, LANES, HEADS, ROWS, COLUMNS, HEAD = 4, 3, 2, 2, 64, 64


def draw():
    rng = np.random.default_rng(0)
    q = rng.normal(size=(SLOTS, LANES, HEADS, ROWS, HEAD)) * HEAD**-0.5
    k, v = (rng.normal(size=(SLOTS, LANES, HEADS, COLUMNS, HEAD)) for _ in range(2))
    length = rng.integers(0, 90, (SLOTS, LANES))
    start = np.maximum(length - rng.integers(0, 60, (SLOTS, LANES)), 0)
    return (
        *(jnp.asarray(leaf, jnp.float32) for leaf in (q, k, v)),
        *(jnp.asarray(x, jnp.int32) for x in (start, length)),
    )


@pytest.mark.parametrize("path", ["gpu", "tpu"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 2), (2, 2, 1), (1, 1, 4)])
def test_the_same_on_every_mesh(path, sizes):
    inputs = draw()
    flat = ragged_reference(*(leaf.reshape(SLOTS * LANES, *leaf.shape[2:]) for leaf in inputs))
    wanted = np.asarray(merge_parts(flat, dtype=jnp.float32)).reshape(SLOTS, LANES, HEADS, ROWS, HEAD)
    data, fsdp, tensor = sizes
    mesh = make_mesh(ParallelConfig(*sizes), jax.devices()[: data * fsdp * tensor])
    heads = "tensor" if HEADS % tensor == 0 else None  # four devices cannot share two heads, and hold both
    by_head = NamedSharding(mesh, P(("data", "fsdp"), None, heads))
    by_slot = NamedSharding(mesh, P(("data", "fsdp")))
    placed = jax.device_put(inputs, (by_head, by_head, by_head, by_slot, by_slot))
    run = jax.jit(functools.partial(attend_ragged, DecodeAttention(path, interpret=True), mesh))
    part = run(*placed)
    np.testing.assert_allclose(merge_parts(part, dtype=jnp.float32), wanted, atol=3e-6)
    compiled = run.lower(*placed).compile().as_text()
    assert not any(word in compiled for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute"))
