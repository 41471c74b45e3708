# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Completions of given lengths from a sampler that is told nothing about them.

A benchmark wants lengths of a known distribution, yet a sampler that knew them in advance could pack its work in a way
that training never allows. So they are brought about: what a sample would say without a stop is drawn once, and the
token at the wanted place becomes an id that stops its request. Noise depends on the sample alone, so the second run
says the same and stops there.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int32

SIGMA = 0.55
"""Spread of the logarithm: with 64 samples the longest is about three times the mean."""


def lognormal_lengths(count: int, mean: float, largest: int, seed: int, sigma: float = SIGMA) -> Int[np.ndarray, " n"]:
    """Lengths of `count` completions, at least 1 and at most `largest`, before which their mean is `mean`."""
    drawn = np.random.default_rng(seed).lognormal(np.log(mean) - sigma**2 / 2, sigma, count)
    return np.clip(np.rint(drawn), 1, largest).astype(np.int64)


def forced_stops(
    sequences: Sequence[Int32[np.ndarray, " T"]], wanted: Sequence[int]
) -> tuple[tuple[int, ...], list[int]]:
    """Ids that end each sequence near its wanted length, one a sequence.

    The token nearest to the wanted end is taken that no sequence holds before its own end; where a sequence has no such
    token, its nearest one.

    Args:
        sequences: What the samples of one request say without a stop, each at least as long as wanted.
        wanted: Length of each, from 1.

    Returns:
        The ids, ascending, and the lengths at which they end the sequences.
    """
    ends = list(wanted)
    chosen: set[int] = set()
    # From the longest: its end is the hardest to keep free of the others' ids.
    for row in sorted(range(len(sequences)), key=lambda row: -wanted[row]):
        before = [
            sequence[:end] for other, (sequence, end) in enumerate(zip(sequences, ends, strict=True)) if other != row
        ]
        taken = set(np.concatenate(before).tolist()) if before else set()
        sequence = sequences[row].tolist()
        first_at = {token: place for place, token in reversed(list(enumerate(sequence)))}
        barrier = min((first_at[token] for token in chosen if token in first_at), default=len(sequence))
        places = sorted(range(min(len(sequence), barrier + 1)), key=lambda place: abs(place + 1 - wanted[row]))
        free = [place for place in places if first_at[sequence[place]] == place and sequence[place] not in taken]
        place = (free or places)[0]
        ends[row] = place + 1
        chosen.add(sequence[place])
    ids = tuple(sorted(chosen))
    return ids, [int(np.isin(sequence, ids).argmax()) + 1 for sequence in sequences]
