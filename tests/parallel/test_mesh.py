# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Mesh shapes on one to eight simulated devices, and the errors of sizes that do not fit."""

import jax
import pytest
from jax.sharding import AxisType

from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.mesh import make_mesh, make_rollout_mesh
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


@pytest.mark.parametrize(
    ("sizes", "training", "sampling"),
    [
        ({"rollout_devices": 4}, (1, 4, 1), (4, 1, 1)),
        ({"rollout_devices": 2, "data": 3, "fsdp": 1, "tensor": 2}, (3, 1, 2), (1, 1, 2)),
        ({"rollout_devices": 6, "fsdp": 1, "tensor": -1}, (1, 1, 2), (3, 1, 2)),
    ],
)
def test_devices_that_sample_are_no_devices_that_train(sizes, training, sampling):
    settings = ParallelConfig(**sizes)
    train, rollout = make_mesh(settings), make_rollout_mesh(settings)
    assert tuple(train.shape.values()) == training
    assert tuple(rollout.shape.values()) == sampling
    assert sorted(device.id for mesh in (train, rollout) for device in mesh.devices.flat) == list(range(8))


def test_sampling_is_where_training_is_unless_it_has_devices_of_its_own():
    assert make_rollout_mesh(ParallelConfig(tensor=2)) == make_mesh(ParallelConfig(tensor=2))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"rollout_devices": 0}, ["parallel.rollout_devices=0", "at least 1"]),
        ({"rollout_devices": 8}, ["parallel.rollout_devices=8", "none of 8 devices"]),
        ({"rollout_devices": 3, "data": 2}, ["parallel.data=2", "5 beside parallel.rollout_devices=3"]),
        ({"rollout_devices": 3, "fsdp": 5, "data": 2}, ["= 10 ", "5 beside parallel.rollout_devices=3"]),
        ({"rollout_devices": 2, "tensor": 3}, ["parallel.rollout_devices=2", "parallel.tensor=3"]),
    ],
)
def test_devices_that_sample_in_a_number_that_does_not_fit_are_named(sizes, words):
    with pytest.raises(ConfigError) as error:
        make_rollout_mesh(ParallelConfig(**sizes))
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_devices_that_sample_need_one_host(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ConfigError, match="one host"):
        make_rollout_mesh(ParallelConfig(rollout_devices=4))
