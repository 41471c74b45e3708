# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What share of the prompts each domain has at each step: `data.mixing`. `fair_counts.py` makes counts of shares.

Weights are exact fractions. Where they move from step to step, shares are rounded to a grid so fine that no count can
show it, since sums of ever new denominators would grow without bound.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from math import floor, lcm

from grpo_jax.config import DataConfig, Domain
from grpo_jax.records import ConfigError

Mix = tuple[Fraction, ...]
"""Weight of each part; they sum to 1."""

_FINE = 10**12


class ChangingMix:
    """A mix that may change from step to step, and its shares in whole units.

    Args:
        at: Step -> mix.
        constants: All mixes that hold over spans of steps; shares of these are exact.
        moving: Whether other mixes occur, whose shares are rounded.
    """

    def __init__(self, at: Callable[[int], Mix], constants: Sequence[Mix], moving: bool) -> None:
        self.at = at
        self.unit = lcm(*(weight.denominator for mix in constants for weight in mix)) * (_FINE if moving else 1)
        self._remembered = functools.lru_cache(maxsize=4096)(self.rounded)

    def shares(self, step: int, places: int) -> tuple[int, ...]:
        """Share of each part in a batch of `places`, in 1/unit; they sum to places x unit."""
        return self._remembered(self.at(step), places)

    def rounded(self, mix: Mix, places: int) -> tuple[int, ...]:
        """The same of any mix."""
        exact = [weight * places * self.unit for weight in mix]
        whole = [floor(share) for share in exact]
        short = places * self.unit - sum(whole)
        # Largest remainders first, so that a share that is whole stays so.
        for i in sorted(range(len(mix)), key=lambda i: (whole[i] - exact[i], i))[:short]:
            whole[i] += 1
        return tuple(whole)


def exact(weight: float) -> Fraction:
    """The decimal number that the user wrote: 0.35 is 7/20, not its neighbour among binary fractions."""
    return Fraction(repr(float(weight)))


def normalised(weights: Sequence[float | Fraction]) -> Mix:
    """Weights divided by their sum, which must be above 0."""
    given = [weight if isinstance(weight, Fraction) else exact(weight) for weight in weights]
    total = sum(given)
    return tuple(weight / total for weight in given)


def between(start: Mix, end: Mix, way: Fraction) -> Mix:
    """The mix at a fraction of the way from one to another, which is cut to 0 and 1."""
    way = min(max(way, Fraction(0)), Fraction(1))
    return tuple(a + (b - a) * way for a, b in zip(start, end, strict=True))


def domain_mix(
    settings: DataConfig, domains: Mapping[str, Domain], sizes: Mapping[str, int], num_steps: int, learned: bool
) -> ChangingMix:
    """The mix of domains of every step. `concat` has the one of `proportional` as its expectation.

    Args:
        settings: Its `mixing` says which.
        domains: The run's domains.
        sizes: Problems of each, in the order of the parts.
        num_steps: Steps of the run; progress is step / num_steps.
        learned: Whether other mixes than these will be made of it on the way.

    Raises:
        ConfigError: The run has too few steps for `sequential`.
    """
    weights = normalised([domains[name].weight for name in sizes])
    equal = normalised([1.0 for _ in sizes])
    if settings.mixing == "sequential":
        spans = equal if settings.sequential_spans == "equal" else weights
        return _sequential(spans, tuple(sizes), num_steps)
    if settings.mixing == "annealed":
        goal = normalised([settings.anneal_to[name] for name in sizes])
        first, last = exact(settings.anneal_from), exact(settings.anneal_until)

        @functools.lru_cache(maxsize=4096)
        def moved(step: int) -> Mix:
            return between(weights, goal, (Fraction(step, num_steps) - first) / (last - first))

        return ChangingMix(moved, (weights, goal), moving=True)
    kept = {
        "weighted": weights,
        "balanced": equal,
        "proportional": normalised([Fraction(size) for size in sizes.values()]),
    }
    mix = kept["proportional" if settings.mixing == "concat" else settings.mixing]
    return ChangingMix(lambda step: mix, (mix,), moving=learned)


def _sequential(spans: Mix, names: Sequence[str], num_steps: int) -> ChangingMix:
    """One domain a step; the step in which two spans meet is of the one that has more of it."""
    ends = [floor(end * num_steps + Fraction(1, 2)) for end in accumulate(spans)]
    for name, start, end in zip(names, [0, *ends], ends, strict=False):
        if start == end:
            raise ConfigError(
                f"data.mixing=sequential leaves no step for domain {name} in a run of {num_steps}; train for more steps"
            )
    alone = [tuple(Fraction(i == own) for i in range(len(spans))) for own in range(len(spans))]

    def at(step: int) -> Mix:
        return alone[min(sum(step >= end for end in ends), len(alone) - 1)]

    return ChangingMix(at, alone, moving=False)
