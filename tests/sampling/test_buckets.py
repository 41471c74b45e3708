# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.sampling.buckets import (
    MOST_CACHES,
    bucket_of,
    buckets_up_to,
    column_buckets,
    shrunk_column_buckets,
)


def test_buckets_are_powers_of_two_and_the_largest_size_rounded_up() -> None:
    assert buckets_up_to(200) == (32, 64, 128, 200)
    assert buckets_up_to(129) == (32, 64, 128, 136)
    assert buckets_up_to(64) == (32, 64)
    assert buckets_up_to(3) == (8,)


def test_a_size_takes_the_smallest_bucket_that_holds_it() -> None:
    buckets = buckets_up_to(100)
    assert [bucket_of(size, buckets) for size in (1, 32, 33, 64, 65, 104)] == [32, 32, 64, 64, 104, 104]


def test_a_size_above_the_largest_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="size 105 exceeds the largest bucket 104"):
        bucket_of(105, buckets_up_to(100))


def test_own_caches_hold_the_longest_sample_from_any_start_in_whole_chunks() -> None:
    assert column_buckets(512, 32) == (64, 128, 256, 544)
    assert column_buckets(5, 32) == (64,)
    assert column_buckets(40, 5) == (45,)
    assert column_buckets(4096, 32) == (256, 512, 1024, 2048, 4128)
    for limit in (1, 31, 32, 33, 400, 30_000):
        for chunk in (1, 7, 32):
            buckets = column_buckets(limit, chunk)
            assert all(size % chunk == 0 for size in buckets)
            assert buckets[-1] >= limit + chunk - 1
            assert list(buckets) == sorted(set(buckets))
            assert len(buckets) <= MOST_CACHES


def test_a_shrunk_batch_has_the_largest_cache_and_one_between() -> None:
    assert shrunk_column_buckets((64, 128, 256, 544)) == (128, 544)
    assert shrunk_column_buckets((64, 112)) == (112,)
    assert shrunk_column_buckets((64,)) == (64,)
