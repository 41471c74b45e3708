# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes that compiled programs come in: a few steps instead of every length, so that a run compiles each once."""

SMALLEST = 32
"""Below this, padding costs less than another compiled program."""


SMALLEST_CACHE = 64
"""Columns of the smallest own cache."""


def buckets_up_to(largest: int) -> tuple[int, ...]:
    """Powers of two from 32 that are below `largest`, then `largest` rounded up to a multiple of 8."""
    last = -(-largest // 8) * 8
    sizes = []
    size = SMALLEST
    while size < last:
        sizes.append(size)
        size *= 2
    return (*sizes, last)


def column_buckets(limit: int, chunk_tokens: int) -> tuple[int, ...]:
    """Columns that own caches come in where samples have up to `limit` tokens: whole chunks, doubling from about 64.

    A sample may start late in its first chunk, and a chunk is appended whole, so the last bucket has room for both.
    """
    last = -(-(limit + chunk_tokens - 1) // chunk_tokens) * chunk_tokens
    sizes = []
    size = -(-SMALLEST_CACHE // chunk_tokens) * chunk_tokens
    while 3 * size <= 2 * last:
        sizes.append(size)
        size *= 2
    return (*sizes, last)


def bucket_of(size: int, buckets: tuple[int, ...]) -> int:
    """Smallest bucket that holds `size`.

    Raises:
        ValueError: `size` exceeds the largest bucket.
    """
    for bucket in buckets:
        if size <= bucket:
            return bucket
    raise ValueError(f"size {size} exceeds the largest bucket {buckets[-1]}")
