# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How many prompts each domain gets in each step: exact in every batch and over time.

With s the fractional share of a domain in a batch (weight x prompts), two bounds hold at every step t:
its count in the batch is floor(s) or ceil(s), and its count over steps 0..t differs from s x (t + 1) by less than 1.

Each domain gets floor(s) outright. The fractional rests sum to a whole number m of open places, and giving them out is
proportionate-fair scheduling of unit tasks on m processors: algorithm PF of Baruah, Cohen, Plaxton and Varvel
(https://doi.org/10.1007/BF01940883), whose theorem is the second bound. Rounding running totals has no such guarantee
for a single batch. All arithmetic is in integers, with shares as fractions of a common denominator L; the schedule
repeats every L steps, so counts of any step follow from one period, replayed once and kept.
"""

import functools
from collections.abc import Mapping
from fractions import Fraction
from math import lcm

from grpo_jax.records import ConfigError

_COMPARED_STEPS = 4096  # Rests alike for so long come from denominators above it; their order then hardly matters.


class Quotas:
    """The counts of a fixed mix of domains.

    Args:
        weights: Domain -> share relative to the others, above 0.
        prompts_per_step: Size of a batch.
    """

    def __init__(self, weights: Mapping[str, float], prompts_per_step: int) -> None:
        if not weights:
            raise ConfigError("domains is empty; name at least one domain to draw prompts from")
        if prompts_per_step <= 0:
            raise ConfigError(f"data.prompts_per_step={prompts_per_step} must be above 0")
        # repr gives the decimal number that the user wrote: 0.35 is 7/20, not its neighbour among binary fractions.
        exact = {name: Fraction(repr(float(weight))) for name, weight in weights.items()}
        for name, weight in exact.items():
            if weight <= 0:
                raise ConfigError(f"domains.{name}.weight={weights[name]} must be above 0")
        total = sum(exact.values())
        shares = {name: weight * prompts_per_step / total for name, weight in exact.items()}
        self.names = tuple(weights)
        self._whole = [int(shares[name]) for name in self.names]
        self._period = lcm(*(share.denominator for share in shares.values()))
        self._rest = [int((shares[name] % 1) * self._period) for name in self.names]
        self._places = sum(self._rest) // self._period
        # Places given by domain before each step of the period, as far as they were asked for.
        self._given: list[tuple[int, ...]] = [(0,) * len(self.names)]

    def cumulative(self, step: int) -> dict[str, int]:
        """Prompts of each domain in all steps before `step`."""
        periods, offset = divmod(step, self._period)
        while len(self._given) <= offset:
            self._given.append(self._next(len(self._given) - 1, self._given[-1]))
        given = self._given[offset]
        return {name: self._whole[i] * step + self._rest[i] * periods + given[i] for i, name in enumerate(self.names)}

    def counts(self, step: int) -> dict[str, int]:
        """Prompts of each domain in step `step`; they sum to the batch size."""
        before, after = self.cumulative(step), self.cumulative(step + 1)
        return {name: after[name] - before[name] for name in self.names}

    def _next(self, step: int, given: tuple[int, ...]) -> tuple[int, ...]:
        """Give out the open places of one step."""
        chosen, contending = [], []
        for i, rest in enumerate(self._rest):
            due = rest * (step + 1) - self._period * given[i]  # L x (what is owed after this step)
            if due >= self._period:
                chosen.append(i)
            elif due > 0:
                contending.append(i)
        contending.sort(key=functools.cmp_to_key(lambda x, y: self._compare(self._rest[y], self._rest[x], step + 1)))
        open_places = self._places - len(chosen)
        assert 0 <= open_places <= len(contending), "a mix without a fair schedule contradicts the theorem of PF"
        chosen += contending[:open_places]
        return tuple(count + (i in chosen) for i, count in enumerate(given))

    def _compare(self, x: int, y: int, step: int) -> int:
        """Order of two rests by how urgent they are in the steps to come: 1 where x is more so, 0 where alike."""
        if x == y:
            return 0
        for future in range(step, step + _COMPARED_STEPS):
            sign_x, sign_y = self._sign(x, future), self._sign(y, future)
            if sign_x != sign_y:
                return 1 if sign_x > sign_y else -1
            if sign_x == 0:
                return 0
        return 0

    def _sign(self, rest: int, step: int) -> int:
        """The paper's characteristic symbol: does the rest's running sum pass (1) or meet (0) a whole number?"""
        excess = rest + (rest * step) % self._period - self._period
        return (excess > 0) - (excess < 0)


@functools.lru_cache(maxsize=64)
def _quotas(weights: tuple[tuple[str, float], ...], prompts_per_step: int) -> Quotas:
    return Quotas(dict(weights), prompts_per_step)


def domain_counts(weights: Mapping[str, float], prompts_per_step: int, step: int) -> dict[str, int]:
    """Prompts of each domain in one step, a pure function of its arguments; see `Quotas`.

    Raises:
        ConfigError: No domain, a weight that is not above 0, or an empty batch.
    """
    return _quotas(tuple(weights.items()), prompts_per_step).counts(step)
