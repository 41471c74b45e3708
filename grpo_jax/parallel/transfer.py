# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays between this host and the mesh, on one process or many."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Sharding


def place(tree: Any, sharding: Any) -> Any:
    """Put host arrays on the mesh.

    Args:
        tree: NumPy array, or pytree of them. In a run of many processes each holds the whole array (or at least right
            values in the parts of its own devices) and all call this with the same shapes.
        sharding: One sharding for all leaves, or a pytree of them with the nesting of `tree`.

    Returns:
        Global arrays of the same nesting, values and dtypes.

    Raises:
        ValueError: JAX would narrow a dtype (float64 or int64 with x64 off), or a dim does not divide by its axes.
    """
    if isinstance(sharding, Sharding):
        return jax.tree.map(lambda leaf: _place(np.asarray(leaf), sharding), tree)
    return jax.tree.map(lambda leaf, target: _place(np.asarray(leaf), target), tree, sharding)


def place_parts(stored: Any, sharding: Sharding) -> jax.Array:
    """Put an array on the mesh of which this host reads only what its own devices hold, one device's part at a time.

    Args:
        stored: Has a shape and a dtype; indexed with a slice a dim, it reads that part as a NumPy array.
        sharding: Where it goes. Devices that hold the same part are served by one reading of it.

    Returns:
        The global array.
    """
    devices_of: dict[tuple[tuple[int, int], ...], list[jax.Device]] = {}
    for device, index in sharding.addressable_devices_indices_map(stored.shape).items():
        bounds = tuple(own.indices(size)[:2] for own, size in zip(index or (), stored.shape, strict=True))
        devices_of.setdefault(bounds, []).append(device)
    parts = []
    with jax.transfer_guard_host_to_device("allow"):
        for bounds, devices in devices_of.items():
            part = stored[tuple(slice(*own) for own in bounds)]
            # Waited for, or the next part would be read while this one still lies in the host's memory too.
            parts += jax.block_until_ready([jax.device_put(part, device) for device in devices])
            del part
    return jax.make_array_from_single_device_arrays(stored.shape, sharding, parts)


def fetch(tree: Any) -> Any:
    """Bring global arrays to this host, whole, as NumPy; what is NumPy already stays.

    A collective where an array has parts on other processes: then every process must call it, with the same tree.
    """
    leaves, structure = jax.tree.flatten(tree)
    # As in `place`: a transfer that is asked for by name passes any guard.
    with jax.transfer_guard_device_to_host("allow"):
        for leaf in leaves:
            if isinstance(leaf, jax.Array) and leaf.is_fully_addressable:
                leaf.copy_to_host_async()
        return structure.unflatten([_fetch(leaf) for leaf in leaves])


def _place(array: np.ndarray, sharding: Sharding) -> jax.Array:
    if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
        raise ValueError(
            f"array of shape {array.shape} is {array.dtype}, which JAX would narrow to "
            f"{jax.dtypes.canonicalize_dtype(array.dtype)}; convert it first"
        )
    # The call names itself a transfer; JAX counts this one as implicit and a loop under a guard would refuse it.
    with jax.transfer_guard_host_to_device("allow"):
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def _fetch(array: jax.Array | np.ndarray) -> np.ndarray:
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return np.asarray(array)
    if array.is_fully_replicated:
        return np.asarray(array.addressable_data(0))
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))
