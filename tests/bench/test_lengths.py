# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from grpo_jax.bench.lengths import forced_stops, lognormal_lengths


def first_stop(sequence: np.ndarray, ids: tuple[int, ...]) -> int:
    return next(place for place, token in enumerate(sequence.tolist(), start=1) if token in ids)


def test_lengths_have_the_mean_and_the_bounds() -> None:
    found = lognormal_lengths(20_000, 93, 384, seed=1)
    assert found.mean() == pytest.approx(93, rel=0.02)
    assert found.min() >= 1
    assert found.max() == 384
    assert np.array_equal(found, lognormal_lengths(20_000, 93, 384, seed=1))
    assert lognormal_lengths(50, 93, 8, seed=1).max() == 8


def test_rare_tokens_end_sequences_exactly_where_wanted() -> None:
    rng = np.random.default_rng(0)
    wanted = [3, 40, 17, 90, 1, 64, 33, 8]
    sequences = [rng.integers(0, 1_000_000, 100).astype(np.int32) for _ in wanted]
    ids, lengths = forced_stops(sequences, wanted)
    assert lengths == wanted
    assert [first_stop(sequence, ids) for sequence in sequences] == wanted


def test_common_tokens_end_sequences_near_where_wanted() -> None:
    rng = np.random.default_rng(0)
    wanted = lognormal_lengths(8, 60, 150, seed=2).tolist()
    # Like text: some ids in every other place, many once.
    sequences = [
        np.where(rng.random(200) < 0.7, rng.integers(0, 50, 200), rng.integers(50, 50_000, 200)) for _ in wanted
    ]
    ids, lengths = forced_stops([sequence.astype(np.int32) for sequence in sequences], wanted)
    assert lengths == [first_stop(sequence, ids) for sequence in sequences]
    assert np.abs(np.array(lengths) - wanted).max() <= 12


def test_sequences_without_a_free_token_still_end() -> None:
    sequences = [np.zeros(5, np.int32), np.zeros(5, np.int32)]
    assert forced_stops(sequences, [4, 2]) == ((0,), [1, 1])
