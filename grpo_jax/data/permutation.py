# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Seeded randomness without state: the same words give the same values in every process and library version."""

import hashlib

import numpy as np
from jaxtyping import Int64, UInt64


def permutation(size: int, *words: object) -> Int64[np.ndarray, " size"]:
    """A permutation of 0..size-1 that is a pure function of its arguments.

    Entries are sorted by a 64-bit hash of (words, entry). NumPy's own generators would do, but they may change their
    streams between releases, and a resumed run must not.

    Args:
        size: Number of entries.
        words: What names the permutation, for example ("domain", seed, domain, epoch).
    """
    key = np.uint64(_hash(words))
    counter = np.arange(1, size + 1, dtype=np.uint64)
    return np.argsort(_mix(key + counter * np.uint64(0x9E3779B97F4A7C15)), kind="stable").astype(np.int64)


def fraction(*words: object) -> float:
    """A number in [0, 1) that is a pure function of its arguments and spread evenly over them."""
    return (_hash(words) >> 11) / 2**53


def _hash(words: tuple[object, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=8).digest(), "little")


def _mix(z: UInt64[np.ndarray, " size"]) -> UInt64[np.ndarray, " size"]:
    """The output function of SplitMix64 (https://doi.org/10.1145/2660193.2660195), a bijection of 64-bit words."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
