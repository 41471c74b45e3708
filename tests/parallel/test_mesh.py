# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Mesh shapes on one to eight simulated devices, and the errors of sizes that do not fit."""

import jax
import pytest
from jax.sharding import AxisType

from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.records import ConfigError


def mesh_of(num_devices, **sizes):
    return make_mesh(ParallelConfig(**sizes), jax.devices()[:num_devices])


@pytest.mark.parametrize("num_devices", range(1, 9))
def test_default_gives_every_device_to_fsdp(num_devices):
    mesh = mesh_of(num_devices)
    assert dict(mesh.shape) == {"data": 1, "fsdp": num_devices, "tensor": 1}
    assert mesh.axis_names == ("data", "fsdp", "tensor")
    assert mesh.axis_types == (AxisType.Auto,) * 3


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"data": 2, "fsdp": 2, "tensor": 2}, (2, 2, 2)),
        ({"data": -1, "fsdp": 2, "tensor": 2}, (2, 2, 2)),
        ({"data": 2, "fsdp": 1, "tensor": -1}, (2, 1, 4)),
        ({"data": 1, "fsdp": -1, "tensor": 8}, (1, 1, 8)),
    ],
)
def test_minus_one_takes_what_is_left(sizes, expected):
    mesh = mesh_of(8, **sizes)
    assert tuple(mesh.shape.values()) == expected
    assert sorted(device.id for device in mesh.devices.flat) == [device.id for device in jax.devices()]


def test_all_devices_are_the_default():
    assert make_mesh(ParallelConfig()).size == len(jax.devices())


@pytest.mark.parametrize(
    ("num_devices", "sizes", "words"),
    [
        (8, {"data": 3}, ["parallel.data=3", "= 3 ", "8"]),
        (6, {"tensor": 4}, ["parallel.tensor=4", "= 4 ", "6"]),
        (8, {"data": 2, "fsdp": 2, "tensor": 1}, ["= 4 ", "8", "-1"]),
        (2, {"data": 2, "fsdp": 2, "tensor": 1}, ["= 4 ", "2", "-1"]),
        (8, {"data": -1, "fsdp": -1}, ["parallel.data", "parallel.fsdp", "at most one"]),
        (8, {"tensor": 0}, ["parallel.tensor=0"]),
        (8, {"fsdp": -2}, ["parallel.fsdp=-2"]),
    ],
)
def test_sizes_that_do_not_fit_are_named_with_both_numbers(num_devices, sizes, words):
    with pytest.raises(ConfigError) as error:
        mesh_of(num_devices, **sizes)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)
