# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.sampling.buckets import bucket_of, buckets_up_to


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
