# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A number for the bits of an array, the same on any mesh, so that a checkpoint can prove it came back whole.

The storage formats below Orbax notice missing and shortened files but return flipped bits as weights.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32


def fingerprints(tree: Any) -> dict[str, int]:
    """Fingerprint every leaf of a pytree of arrays, by its path. A collective where arrays span processes."""
    by_path = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}
    return {path: int(value) for path, value in jax.device_get(_fingerprints(by_path)).items()}


@jax.jit
def _fingerprints(leaves: dict[str, Array]) -> dict[str, UInt32[Array, ""]]:
    return {path: _fingerprint(leaf) for path, leaf in leaves.items()}


def _fingerprint(array: Array) -> UInt32[Array, ""]:
    """Sum over 32-bit words of word x (2 index + 1), modulo 2^32.

    Integer sums wrap, so the order that a mesh implies does not matter; odd factors are invertible, so any change
    within one word shows.
    """
    words = _words(array)
    index = jnp.zeros(words.shape, jnp.uint32)
    for dim, size in enumerate(words.shape):
        index = index * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, words.shape, dim)
    return jnp.sum(words * (2 * index + 1), dtype=jnp.uint32)


def _words(array: Array) -> UInt32[Array, "..."]:
    if array.dtype == jnp.bool_:
        return array.astype(jnp.uint32)
    if array.dtype.itemsize >= 4:
        return jax.lax.bitcast_convert_type(array, jnp.uint32)
    narrow = jnp.uint16 if array.dtype.itemsize == 2 else jnp.uint8
    return jax.lax.bitcast_convert_type(array, narrow).astype(jnp.uint32)
