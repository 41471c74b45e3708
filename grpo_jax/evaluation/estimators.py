# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What n samples of a problem say about k of them: pass@k, maj@k, and intervals over problems."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float64


def pass_at_k(num_samples: int, num_passed: int, k: int) -> float:
    """Probability that at least one of k samples passes, estimated without bias from n of them.

    1 - C(n - c, k) / C(n, k): the share of k-subsets that hold a passing sample (https://arxiv.org/abs/2107.03374).

    Args:
        num_samples: n, at least k.
        num_passed: c, of 0 to n.
        k: At least 1.

    Raises:
        ValueError: A number is out of its range.
    """
    if not (1 <= k <= num_samples and 0 <= num_passed <= num_samples):
        raise ValueError(f"pass@{k} of {num_passed} passes in {num_samples} samples does not exist")
    return 1.0 - math.comb(num_samples - num_passed, k) / math.comb(num_samples, k)


def majority_at_k(votes: Sequence[int], num_right: int, num_silent: int, k: int) -> float:
    """Probability that the most frequent answer among k samples is right, over all k-subsets of the n given.

    Ties are broken evenly. Exact: the subsets are counted, none is drawn. This is the expected accuracy of
    self-consistency (https://arxiv.org/abs/2203.11171).

    Args:
        votes: How often each different wrong answer was given.
        num_right: How often the right answer was given, in whatever form.
        num_silent: Samples without an answer; they are drawn like the others and vote for nothing.
        k: Of 1 to n = sum(votes) + num_right + num_silent.

    Raises:
        ValueError: A number is out of its range.
    """
    total = sum(votes) + num_right + num_silent
    if not 1 <= k <= total or min([*votes, num_right, num_silent]) < 0:
        raise ValueError(f"maj@{k} of votes {[*votes]}, {num_right} right and {num_silent} silent does not exist")
    return _majority(tuple(sorted(votes)), num_right, num_silent, k)


@lru_cache(maxsize=65536)
def _majority(votes: tuple[int, ...], num_right: int, num_silent: int, k: int) -> float:
    won = 0.0
    for top in range(1, min(k, num_right) + 1):
        # subsets[m, s]: ways to draw m other samples in which s wrong answers reach `top` votes and none exceeds it.
        rest = k - top
        subsets = np.zeros((rest + 1, rest // top + 1), np.float64)
        subsets[0, 0] = 1.0
        for count in votes:
            drawn = np.zeros_like(subsets)
            for picked in range(min(count, top, rest) + 1):
                ways = float(math.comb(count, picked))
                if picked < top:
                    drawn[picked:] += ways * subsets[: rest + 1 - picked]
                else:
                    drawn[picked:, 1:] += ways * subsets[: rest + 1 - picked, :-1]
            subsets = drawn
        silent = np.array([float(math.comb(num_silent, rest - others)) for others in range(rest + 1)])
        by_ties = silent @ subsets
        share = by_ties / np.arange(1, len(by_ties) + 1)
        won += math.comb(num_right, top) * float(share.sum())
    return won / math.comb(sum(votes) + num_right + num_silent, k)


def bootstrap_interval(
    values: Float64[np.ndarray, " problems"], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean, problems drawn with replacement (Efron 1979).

    Args:
        values: One figure a problem, at least one.
        resamples: Draws; the interval's own error falls as their root.
        confidence: Share of draws inside, in (0, 1).
        seed: Of the draws, so that equal values have equal intervals.

    Raises:
        ValueError: There is no value.
    """
    if not len(values):
        raise ValueError("no value to take an interval of")
    generator = np.random.Generator(np.random.PCG64(seed))
    # Counts in place of indices: one multinomial row a draw, whatever the number of problems.
    counts = generator.multinomial(len(values), np.full(len(values), 1.0 / len(values)), size=resamples)
    means = counts @ np.asarray(values, np.float64) / len(values)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def samples_to_report(num_samples: int) -> tuple[int, ...]:
    """The k of pass@k and maj@k: powers of two up to n, and n."""
    powers = [1 << power for power in range(num_samples.bit_length()) if 1 << power <= num_samples]
    return tuple(sorted({*powers, num_samples}))
