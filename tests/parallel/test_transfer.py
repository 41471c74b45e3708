# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Host arrays reach the mesh and come back with the same bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import batch_sharding, replicated
from grpo_jax.parallel.transfer import fetch, place, place_parts


@pytest.mark.parametrize("num_devices", [1, 2, 4, 8])
def test_round_trip_keeps_values_dtypes_and_nesting(num_devices):
    mesh = make_mesh(ParallelConfig(), jax.devices()[:num_devices])
    rng = np.random.default_rng(0)
    tree = {
        "a": rng.normal(size=(8, 3)).astype(np.float32),
        "b": (rng.integers(0, 9, size=(16,)).astype(np.int32), rng.random((8, 2)) < 0.5),
        "c": rng.normal(size=(8,)).astype(jnp.bfloat16),
    }
    placed = place(tree, batch_sharding(mesh))
    assert all(leaf.sharding == batch_sharding(mesh) for leaf in jax.tree.leaves(placed))
    back = fetch(placed)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(back))
    jax.tree.map(np.testing.assert_array_equal, back, tree)
    assert jax.tree.map(lambda x: x.dtype, back) == jax.tree.map(lambda x: x.dtype, tree)


def test_each_leaf_can_have_its_own_sharding():
    mesh = make_mesh(ParallelConfig())
    shardings = {"rows": batch_sharding(mesh), "scalar": replicated(mesh)}
    placed = place({"rows": np.zeros((8, 2), np.float32), "scalar": np.float32(3)}, shardings)
    assert placed["rows"].sharding == shardings["rows"]
    assert placed["scalar"].is_fully_replicated
    assert fetch(placed)["scalar"] == 3


def test_works_under_a_transfer_guard():
    mesh = make_mesh(ParallelConfig())
    with jax.transfer_guard("disallow"):
        back = fetch(place(np.arange(8, dtype=np.int32), batch_sharding(mesh)))
    np.testing.assert_array_equal(back, np.arange(8))


def test_narrowing_is_refused():
    mesh = make_mesh(ParallelConfig())
    with pytest.raises(ValueError, match="float64"):
        place(np.zeros(8), batch_sharding(mesh))


@pytest.mark.parametrize(("settings", "parts"), [({}, 8), ({"data": 8, "fsdp": 1}, 1), ({"data": 2, "fsdp": 4}, 4)])
def test_each_part_is_read_once_however_many_devices_hold_it(settings, parts):
    mesh = make_mesh(ParallelConfig(**settings))
    whole = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    read = []

    class Stored:
        shape, dtype = whole.shape, whole.dtype

        def __getitem__(self, index):
            read.append(whole[index].size)
            return whole[index]

    sharding = NamedSharding(mesh, PartitionSpec(None, "fsdp"))
    placed = place_parts(Stored(), sharding)
    assert placed.sharding == sharding
    np.testing.assert_array_equal(fetch(placed), whole)
    assert (len(read), sum(read)) == (parts, whole.size)
