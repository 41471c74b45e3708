# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of every lane to its own cache by the kernel of the device, on each device of the mesh for itself."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int32

from grpo_jax.models.attention_parts import AttentionPart
from grpo_jax.parallel.rules import param_shardings
from grpo_jax.sampling.cached_attention import AttendOwn


@dataclass(frozen=True)
class DecodeAttention:
    """How decode attends to what each lane has sampled.

    Attributes:
        path: `xla` is plain XLA over the whole cache; `gpu` and `tpu` are the kernels, which read what a lane has.
        interpret: Run a kernel without its device, slowly, for tests.
    """

    path: Literal["xla", "gpu", "tpu"] = "xla"
    interpret: bool = False


XLA_ATTENTION = DecodeAttention("xla")


def own_attention(how: DecodeAttention, mesh: Mesh) -> AttendOwn | None:
    """What `attend_cached` takes as `attend_own`."""
    return None if how.path == "xla" else functools.partial(attend_ragged, how, mesh)


def ragged_kernel(how: DecodeAttention) -> Callable[..., AttentionPart]:
    """The kernel of one device.

    Raises:
        ImportError: This JAX was built without the kernel's language.
    """
    # Pallas takes half a second to import, which runs without a kernel need not wait for.
    if how.path == "gpu":
        from grpo_jax.sampling.kernels.gpu_ragged_decode import gpu_ragged_decode

        return functools.partial(gpu_ragged_decode, interpret=how.interpret)
    from grpo_jax.sampling.kernels.tpu_ragged_decode import tpu_ragged_decode

    return functools.partial(tpu_ragged_decode, interpret=how.interpret)


def attend_ragged(
    how: DecodeAttention,
    mesh: Mesh,
    q: Float[Array, "N C K R H"],
    k: Float[Array, "N C K S H"],
    v: Float[Array, "N C K S H"],
    start: Int32[Array, "N C"],
    length: Int32[Array, "N C"],
) -> AttentionPart:
    """Attend each lane's query to the positions [start, length) of its own cache, position p in column p % S.

    Each device runs the kernel on its slots and its key-value heads; no data crosses devices.

    Args:
        how: `gpu` or `tpu`.
        mesh: Slots are split over its batch axes, key-value heads over `tensor` where they divide.
        q: Scaled queries by the key-value head that they read.
        k: Keys.
        v: Values.
        start: First position seen.
        length: One past the last; a lane with length <= start sees nothing.
    """
    kernel = ragged_kernel(how)

    def local(q: Array, k: Array, v: Array, start: Array, length: Array) -> AttentionPart:
        lanes = q.shape[:2]
        flat = kernel(*(leaf.reshape(-1, *leaf.shape[2:]) for leaf in (q, k, v, start, length)))
        return AttentionPart(*(leaf.reshape(*lanes, *leaf.shape[1:]) for leaf in flat))

    if mesh.size == 1:
        return local(q, k, v, start, length)
    heads = _spec(mesh, q.shape, ("batch", "whole", "kv_heads", "whole", "head"))
    lanes = P(heads[0])
    specs = (heads, heads, heads, lanes, lanes)
    stats = P(*heads[:3])
    sharded = jax.shard_map(
        local, mesh=mesh, in_specs=specs, out_specs=AttentionPart._make([heads, stats, stats]), check_vma=False
    )
    return sharded(q, k, v, start, length)


def _spec(mesh: Mesh, shape: tuple[int, ...], names: tuple[str, ...]) -> P:
    return param_shardings(mesh, jax.ShapeDtypeStruct(shape, jnp.float32), names).spec
