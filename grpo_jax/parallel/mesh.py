# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh of devices that policy and reference share, and with them the sampler, unless it has one of its own."""

from collections.abc import Sequence
from math import prod

import jax
from jax.sharding import AxisType, Mesh

from grpo_jax.config import ParallelConfig
from grpo_jax.records import ConfigError

AXIS_NAMES = ("data", "fsdp", "tensor")
"""From the slowest links to the fastest: `tensor` talks in every layer, `data` once an update."""


def make_mesh(settings: ParallelConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Arrange devices in a mesh with axes (data, fsdp, tensor): all but the last `parallel.rollout_devices`.

    Args:
        settings: Size of each axis; one may be -1, which takes the devices that the others leave.
        devices: Devices to use; default all devices of all processes.

    Returns:
        A mesh of `Auto` axes: the compiler chooses the layout of what has no constraint.

    Raises:
        ConfigError: An axis has a size that means nothing, two are -1, or the sizes do not fit the number of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    sizes = mesh_sizes(settings, len(devices))
    return _arranged(sizes, devices[: prod(sizes)])


def make_rollout_mesh(settings: ParallelConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """The mesh of sampling: of the last `parallel.rollout_devices` devices, or that of `make_mesh`.

    Raises:
        ConfigError: As for `make_mesh`; or the run has several hosts, between which weights do not pass so.
    """
    devices = jax.devices() if devices is None else list(devices)
    if settings.rollout_devices is not None and jax.process_count() > 1:
        raise ConfigError(
            f"parallel.rollout_devices needs a run of one host, this one has {jax.process_count()}; leave it out"
        )
    sizes = rollout_mesh_sizes(settings, len(devices))
    return _arranged(sizes, devices[-prod(sizes) :])


def _arranged(sizes: tuple[int, ...], devices: Sequence[jax.Device]) -> Mesh:
    # jax.make_mesh defaults to Explicit axes, where indexing a sharded embedding table needs an out_sharding.
    return jax.make_mesh(sizes, AXIS_NAMES, axis_types=(AxisType.Auto,) * len(AXIS_NAMES), devices=devices)


def mesh_sizes(settings: ParallelConfig, num_devices: int) -> tuple[int, ...]:
    """Sizes of the axes of `AXIS_NAMES` on so many devices, those that only sample among them.

    Raises:
        ConfigError: As for `make_mesh`.
    """
    apart, beside = settings.rollout_devices, ""
    if apart is not None:
        if apart < 1:
            raise ConfigError(
                f"parallel.rollout_devices={apart} must be at least 1; leave it out to sample where training is"
            )
        if apart >= num_devices:
            raise ConfigError(
                f"parallel.rollout_devices={apart} leaves none of {num_devices} devices to train; lower it"
            )
        num_devices, beside = num_devices - apart, f" beside parallel.rollout_devices={apart}"
    sizes = dict(zip(AXIS_NAMES, (settings.data, settings.fsdp, settings.tensor), strict=True))
    for name, size in sizes.items():
        if size < 1 and size != -1:
            raise ConfigError(f"parallel.{name}={size} must be at least 1, or -1 for all that is left")
    free = [name for name, size in sizes.items() if size == -1]
    if len(free) > 1:
        raise ConfigError(f"parallel.{free[0]} and parallel.{free[1]} are both -1; at most one axis can take the rest")
    given = {name: size for name, size in sizes.items() if size != -1}
    product = prod(given.values())
    said = " x ".join(f"parallel.{name}={size}" for name, size in given.items())
    if free and num_devices % product:
        raise ConfigError(
            f"{said} = {product} does not divide the number of devices, {num_devices}{beside}; choose sizes whose "
            "product does"
        )
    if not free and product != num_devices:
        raise ConfigError(
            f"{said} = {product} does not match the number of devices, {num_devices}{beside}; set one of them to -1"
        )
    return tuple(num_devices // product if size == -1 else size for size in sizes.values())


def rollout_mesh_sizes(settings: ParallelConfig, num_devices: int) -> tuple[int, ...]:
    """The same of the mesh of sampling.

    Raises:
        ConfigError: As for `make_mesh`; or `tensor`, which both meshes share, does not divide the devices that sample.
    """
    sizes, apart = mesh_sizes(settings, num_devices), settings.rollout_devices
    if apart is None:
        return sizes
    tensor = sizes[AXIS_NAMES.index("tensor")]
    if apart % tensor:
        raise ConfigError(
            f"parallel.rollout_devices={apart} is no multiple of parallel.tensor={tensor}, which both meshes share; "
            "choose one that is"
        )
    return apart // tensor, 1, tensor
