# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One table from the logical names of dims to the axes of the mesh; models name dims, only this file names axes."""

import functools
import logging
from math import prod
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

logger = logging.getLogger(__name__)

MESH_AXES: dict[str, tuple[str, ...]] = {
    "batch": ("data", "fsdp"),
    "embed": ("fsdp",),
    "heads": ("tensor",),
    "kv_heads": ("tensor",),
    "mlp": ("tensor",),
    "vocab": ("tensor",),
    "layers": (),
    "head": (),
    "norm": (),
    "rank": (),
    "whole": (),
}
"""Weights: `fsdp` splits the width for storage (gathered when used), `tensor` splits the products. Rows: split over
every device that does not share a product."""


def param_shardings(mesh: Mesh, shapes: Any, names: Any) -> Any:
    """Choose where each parameter lives.

    A dim that its axes do not divide evenly is replicated, and the log says so once in a process; the results are the
    same, the memory is not.

    Args:
        mesh: As `make_mesh` returns it.
        shapes: Pytree whose leaves have a `shape`.
        names: The same nesting; each leaf is a tuple with the logical name of every dim.

    Returns:
        Pytree of `NamedSharding` with the nesting of `shapes`.

    Raises:
        ValueError: A leaf has another number of names than dims, or a name is not in the table.
    """
    # Tuples are pytrees themselves, so names are taken up to the leaves of shapes.
    return jax.tree.map_with_path(
        lambda path, leaf, dims: NamedSharding(mesh, _spec(mesh, jax.tree_util.keystr(path), leaf.shape, dims)),
        shapes,
        names,
    )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows split over data and fsdp, every further dim whole; rows must be a multiple of `batch_multiple`."""
    return NamedSharding(mesh, P(MESH_AXES["batch"]))


def batch_multiple(mesh: Mesh) -> int:
    """What the number of rows of a batch must be a multiple of, in rows."""
    return prod(mesh.shape[axis] for axis in MESH_AXES["batch"])


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, P())


def _spec(mesh: Mesh, path: str, shape: tuple[int, ...], dims: tuple[str, ...]) -> P:
    if len(shape) != len(dims):
        raise ValueError(f"parameter {path} of shape {shape} has {len(dims)} dim names: {dims}")
    return P(*(_axes(mesh, path, size, dim) for size, dim in zip(shape, dims, strict=True)))


def _axes(mesh: Mesh, path: str, size: int, dim: str) -> str | tuple[str, ...] | None:
    if dim not in MESH_AXES:
        raise ValueError(f"parameter {path} names an unknown dim {dim!r}; known are {', '.join(MESH_AXES)}")
    axes = MESH_AXES[dim]
    num_shards = prod(mesh.shape[axis] for axis in axes)
    if size % num_shards:
        _report_replicated(dim, size, axes, num_shards)
        return None
    return axes[0] if len(axes) == 1 else axes or None


@functools.cache
def _report_replicated(dim: str, size: int, axes: tuple[str, ...], num_shards: int) -> None:
    logger.warning(
        "dim %s of size %d does not divide by %s=%d and is replicated", dim, size, " x ".join(axes), num_shards
    )
