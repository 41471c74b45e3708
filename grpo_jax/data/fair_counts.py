# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
r"""Whole counts that follow fractional shares: exact in every batch and over time.

At step t part i has the share s_i(t) of a batch; the shares of a step sum to the batch size. Wanted are counts with

    floor(s_i(t)) <= count_i(t) <= ceil(s_i(t))  and  |counts of steps 0..t - shares of steps 0..t| < 1.

Each part gets floor(s) outright; what is left of the shares sums to whole open places. Giving these out for constant
shares is proportionate-fair scheduling, solved by algorithm PF (Baruah, Cohen, Plaxton, Varvel,
https://doi.org/10.1007/BF01940883): serve who would otherwise fall a whole place behind, then order the rest by what
their running totals do in the steps to come, where passing a whole number comes before meeting one and that before
neither. The exchange argument behind it compares these symbols alone, not how they arise, so the order also serves
shares that change from step to step, as long as the future is known. With S_i the running total of the rests, the
symbol of step u is the sign of S_i(u + 1) - floor(S_i(u)) - 1.

One case is new where shares change: a part whose share has become whole (or 0) while it is owed a fraction. PF may
give it one more at such a step, which the first bound forbids. So wherever a part is about to stop so, or PF picks one
that has, a few choices that differ in who stops with how much are followed for `_TRIED_STEPS` steps, and the one is
taken that keeps both bounds longest. `tests/data/test_fair_counts.py` counts what is left: the second bound holds
always, the first at all but one step in some 10,000 of such mixes.

All arithmetic is in integers: shares come as multiples of 1/unit.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise

_HORIZONS = (64, 2048)  # steps looked ahead to tell two parts apart; the second only where the first does not
_TRIED_STEPS = 512  # followed to judge a choice
_NEVER = 1 << 62

Shares = Callable[[int], Sequence[int]]
"""Step -> share of each part in 1/unit, each at least 0, their sum a multiple of the unit."""


class FairCounts:
    """Counts by step for shares whose future is known.

    Args:
        shares: Pure function of the step.
        unit: What a share of one place is.
        lags: Shares minus counts of all steps before `first`, by part, in 1/unit; zeros at the start of a run.
        first: The step to begin with.
    """

    def __init__(self, shares: Shares, unit: int, lags: Sequence[int], first: int = 0) -> None:
        self._shares, self._unit = shares, unit
        self._first = first
        # By step from `_first`: lags before it, and its counts, as far as they were asked for.
        self._lags: list[tuple[int, ...]] = [tuple(lags)]
        self._counts: list[tuple[int, ...]] = []
        # By step from `_first`, as far as anything looked ahead: rests of the shares and their running totals before.
        self._rests: list[tuple[int, ...]] = []
        self._totals: list[tuple[int, ...]] = [tuple(lags)]
        # By part: 2 x step where the total passes a whole number, 2 x step + 1 where it meets one.
        self._crossings: list[list[int]] = [[] for _ in lags]

    def counts(self, step: int) -> tuple[int, ...]:
        """Count of each part in a step, not before the last one that was forgotten; they sum to the batch size."""
        while len(self._counts) <= step - self._first:
            self._advance()
        return self._counts[step - self._first]

    def lags(self, step: int) -> tuple[int, ...]:
        """Shares minus counts of all steps before `step`, in 1/unit: with the step, all that there is to save."""
        if step > self._first:
            self.counts(step - 1)
        return self._lags[step - self._first]

    def forget(self, step: int) -> None:
        """Drop what is known of the steps before `step`."""
        gone = step - self._first
        if gone < 256:
            return
        self.counts(step - 1)
        for known in (self._lags, self._counts, self._rests, self._totals):
            del known[:gone]
        for crossings in self._crossings:
            del crossings[: bisect_left(crossings, 2 * step)]
        self._first = step

    def _advance(self) -> None:
        step, lags = self._first + len(self._counts), self._lags[-1]
        chosen = self._choose(step, lags)
        rests = self._rests[step - self._first]
        stopping = self._stopping(step) if any(rests) else []
        if stopping or any(rests[i] == 0 for i in chosen):
            chosen = self._least_trouble(step, lags, chosen, stopping)
        shares = self._shares(step)
        self._counts.append(tuple(share // self._unit + (i in chosen) for i, share in enumerate(shares)))
        self._lags.append(self._after(step, lags, chosen))

    def _stopping(self, step: int) -> list[int]:
        """Parts that get a fraction in this step and none in the next, while others go on."""
        self._look_ahead(step + 2)
        now, coming = self._rests[step - self._first : step - self._first + 2]
        return [i for i in range(len(now)) if now[i] and not coming[i]] if any(coming) else []

    def _least_trouble(self, step: int, lags: Sequence[int], chosen: list[int], stopping: list[int]) -> list[int]:
        """Of PF's choice and those that differ in who stops first or is whole, the one that goes on best."""
        orders: list[Callable[[int], int]] = [self._whole_last(step)]
        for part in stopping:
            orders += [lambda i, part=part: int(i != part), lambda i, part=part: int(i == part)]
        options = [chosen]
        for order in orders:
            option = self._choose(step, lags, order)
            if option not in options:
                options.append(option)
        if len(options) == 1:
            return chosen
        return min(options, key=lambda option: self._trouble(step, lags, option))

    def _whole_last(self, step: int) -> Callable[[int], int]:
        rests = self._rests[step - self._first]
        return lambda i: int(rests[i] == 0)

    def _trouble(self, step: int, lags: Sequence[int], chosen: list[int]) -> int:
        """How often a batch exceeds a whole share from here on, or more where a lag reaches a whole place."""
        counted = []
        for sparing in (True, False):
            choice, now, above = chosen, lags, 0
            for at in range(step, step + _TRIED_STEPS):
                above += sum(not self._rests[at - self._first][i] for i in choice)
                now = self._after(at, now, choice)
                if any(abs(lag) >= self._unit for lag in now):
                    above += _TRIED_STEPS * len(lags)
                    break
                if not any(now):
                    break
                self._look_ahead(at + 2)
                choice = self._choose(at + 1, now, self._whole_last(at + 1) if sparing else None)
            counted.append(above)
            if not above:
                break
        return min(counted)

    def _after(self, step: int, lags: Sequence[int], chosen: Sequence[int]) -> tuple[int, ...]:
        dues = [lag + rest for lag, rest in zip(lags, self._rests[step - self._first], strict=True)]
        return tuple(due - self._unit * (i in chosen) for i, due in enumerate(dues))

    def _choose(self, step: int, lags: Sequence[int], order: Callable[[int], int] | None = None) -> list[int]:
        """The parts that get one of the step's open places: PF's, or those with a lower order before its own order."""
        self._look_ahead(step + 1)
        rests = self._rests[step - self._first]
        places = sum(rests) // self._unit
        dues = [lag + rest for lag, rest in zip(lags, rests, strict=True)]
        chosen = sorted((i for i, due in enumerate(dues) if due >= self._unit), key=lambda i: -dues[i])
        contending = [i for i, due in enumerate(dues) if 0 < due < self._unit]
        if 0 < places - len(chosen) < len(contending):
            contending = self._by_urgency(contending, step)
            if order is not None:
                contending.sort(key=order)
        chosen += contending
        if len(chosen) < places:
            # Only after the future has changed under a saved state: serve whoever is owed most.
            others = sorted((i for i in range(len(dues)) if i not in chosen), key=lambda i: (rests[i] == 0, -dues[i]))
            chosen += others
        return sorted(chosen[:places])

    def _by_urgency(self, parts: list[int], step: int) -> list[int]:
        for horizon in _HORIZONS:
            until = step + 1 + horizon
            self._look_ahead(until)
            keys = {}
            for i in parts:
                crossings = self._crossings[i]
                inside = slice(bisect_left(crossings, 2 * (step + 1)), bisect_left(crossings, 2 * until))
                keys[i] = [*crossings[inside], _NEVER]
            ordered = sorted(parts, key=keys.__getitem__)
            if all(keys[x] != keys[y] for x, y in pairwise(ordered)):
                break
        return ordered

    def _look_ahead(self, until: int) -> None:
        """Learn the totals of all steps before `until`."""
        for step in range(self._first + len(self._rests), until):
            before = self._totals[-1]
            rests = tuple(share % self._unit for share in self._shares(step))
            after = tuple(total + rest for total, rest in zip(before, rests, strict=True))
            for crossings, old, new in zip(self._crossings, before, after, strict=True):
                passed = new - (old // self._unit + 1) * self._unit
                if passed >= 0:
                    crossings.append(2 * step + (passed == 0))
            self._rests.append(rests)
            self._totals.append(after)


def counts_without_foresight(
    shares: Sequence[int], unit: int, lags: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Counts of one step, and the lags after it, where coming shares depend on what is learned until then.

    Each count is the floor or the ceiling of its share, and open places go to whoever is owed most. No rule can keep
    running totals within 1 of shares that an adversary chooses step by step; this one keeps them small in practice.
    """
    rests = [share % unit for share in shares]
    dues = [lag + rest for lag, rest in zip(lags, rests, strict=True)]
    ordered = sorted((i for i, rest in enumerate(rests) if rest), key=lambda i: -dues[i])
    chosen = set(ordered[: sum(rests) // unit])
    counts = tuple(share // unit + (i in chosen) for i, share in enumerate(shares))
    return counts, tuple(due - unit * (i in chosen) for i, due in enumerate(dues))
