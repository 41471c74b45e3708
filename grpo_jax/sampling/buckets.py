# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes that compiled programs come in: a few steps instead of every length, so that a run compiles each once."""

SMALLEST = 32
"""Below this, padding costs less than another compiled program."""

SMALLEST_PROMPT = 128
"""Prompt tokens below which padding costs less than another decode program."""

SMALLEST_CACHE = 64
"""Columns of the smallest own cache."""

MOST_CACHES = 5
"""Sizes that own caches of a run come in: each is a decode program more for every shape of the batch."""

SHRUNK_CACHES = 2
"""Sizes that remain when the batch has shrunk: what lives then is long, and there is little of it."""


def buckets_up_to(largest: int, smallest: int = SMALLEST) -> tuple[int, ...]:
    """Powers of two times `smallest` that are below `largest`, then `largest` rounded up to a multiple of 8."""
    last = -(-largest // 8) * 8
    sizes = []
    size = smallest
    while size < last:
        sizes.append(size)
        size *= 2
    return (*sizes, last)


def column_buckets(limit: int, chunk_tokens: int) -> tuple[int, ...]:
    """Columns that own caches come in where samples have up to `limit` tokens: whole chunks, doubling from about 64.

    There are at most `MOST_CACHES`, so that those of long limits start higher.

    A sample may start late in its first chunk, and a chunk is appended whole, so the last bucket has room for both.
    """
    last = -(-(limit + chunk_tokens - 1) // chunk_tokens) * chunk_tokens
    sizes = []
    size = -(-SMALLEST_CACHE // chunk_tokens) * chunk_tokens
    while 3 * size <= 2 * last:
        sizes.append(size)
        size *= 2
    return (*sizes[-(MOST_CACHES - 1) :], last)


def shrunk_column_buckets(buckets: tuple[int, ...]) -> tuple[int, ...]:
    """The buckets that a batch uses once it has shrunk: every second one, the last `SHRUNK_CACHES` of them."""
    return buckets[::-2][:SHRUNK_CACHES][::-1]


def bucket_of(size: int, buckets: tuple[int, ...]) -> int:
    """Smallest bucket that holds `size`.

    Raises:
        ValueError: `size` exceeds the largest bucket.
    """
    for bucket in buckets:
        if size <= bucket:
            return bucket
    raise ValueError(f"size {size} exceeds the largest bucket {buckets[-1]}")
