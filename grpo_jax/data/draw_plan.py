# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which problems each step draws: counts by domain and bucket, the problems that fill them, and their order.

The plan of step k is a pure function of the seed, k, the settings, the problems that fit and what was learned from
outcomes until then. No row is read for it: problems are numbers here, so every host makes the whole plan.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from grpo_jax.config import RunConfig
from grpo_jax.curriculum_config import BUCKETS
from grpo_jax.data.adaptive import SolveRates
from grpo_jax.data.curriculum import bucket_mix, replaced_buckets
from grpo_jax.data.domain_stream import DrawOrder
from grpo_jax.data.fair_counts import FairCounts, counts_without_foresight
from grpo_jax.data.mixing import ChangingMix, Mix, domain_mix, exact, normalised
from grpo_jax.data.permutation import fraction, permutation
from grpo_jax.records import ConfigError

logger = logging.getLogger(__name__)

UNION = ""
"""Stands for the domain's name in the order of `concat`, which goes over all domains at once."""


class Slot(NamedTuple):
    """One place of a batch.

    Attributes:
        domain: Of the problem.
        bucket: Of the problem; None where its domain has no difficulty rule.
        index: The problem's number in its domain.
    """

    domain: str
    bucket: str | None
    index: int


@dataclass(frozen=True)
class StepPlan:
    """What one step draws, and why.

    Attributes:
        step: From 0.
        slots: In the order of the batch.
        domain_targets: Share of each domain in force.
        bucket_targets: Share of each bucket in force, by domain with a difficulty rule.
        replaced: Slots whose bucket was empty and took a problem of the nearest one, by domain.
    """

    step: int
    slots: tuple[Slot, ...]
    domain_targets: Mapping[str, float]
    bucket_targets: Mapping[str, Mapping[str, float]]
    replaced: Mapping[str, int]


class _Counts:
    """Counts of the parts of one mix, step by step: exact where the future is known, nearest where it is learned."""

    def __init__(self, mix: ChangingMix, places: Callable[[int], int], num_parts: int, foreseen: bool) -> None:
        self._mix, self._places, self._foreseen = mix, places, foreseen
        self._restart(0, [0] * num_parts)

    def counts(self, step: int) -> tuple[int, ...]:
        """Of a step of a mix whose future is known."""
        return self._fair.counts(step)

    def take(self, step: int, factors: list[float]) -> tuple[tuple[int, ...], Mix]:
        """Counts of the step that comes next, and the mix in force; factors act where the future is learned."""
        mix = self._mix.at(step)
        if self._foreseen:
            counts = self._fair.counts(step)
            self._fair.forget(step)
            return counts, mix
        weights = [weight * exact(round(factor, 6)) for weight, factor in zip(mix, factors, strict=True)]
        mix = normalised(weights)
        shares = self._mix.rounded(mix, self._places(step))
        counts, self._lags = counts_without_foresight(shares, self._mix.unit, self._lags)
        return counts, mix

    def lags(self, step: int) -> list[int]:
        """All that there is to save before a step."""
        return list(self._fair.lags(step) if self._foreseen else self._lags)

    def restore(self, step: int, lags: list[int]) -> None:
        """Go on before a step."""
        self._restart(step, lags)

    def _restart(self, step: int, lags: list[int]) -> None:
        self._lags = tuple(lags)
        self._fair = FairCounts(lambda at: self._mix.shares(at, self._places(at)), self._mix.unit, lags, step)


class DrawPlan:
    """The plans of a run's steps, one after another.

    Args:
        config: The run.
        sizes: Problems of each domain.
        buckets: Domain -> bucket number of each problem, for domains with a difficulty rule.
        num_steps: Steps of the run.
        fits: Whether a problem of a domain can be drawn at all (its prompt is short enough).
    """

    def __init__(
        self,
        config: RunConfig,
        sizes: Mapping[str, int],
        buckets: Mapping[str, np.ndarray],
        num_steps: int,
        fits: Callable[[str, int], bool],
    ) -> None:
        self._config, self._sizes, self._buckets, self._fits = config, dict(sizes), buckets, fits
        self.step = 0
        self.solve_rates = SolveRates(config.curriculum.adaptive)
        adaptive = config.curriculum.adaptive
        self._union = config.data.mixing == "concat"
        learned = adaptive.domain_weights
        mix = domain_mix(config.data, config.domains, self._sizes, num_steps, learned)
        self._places_now: dict[str, int] = {}
        self._domains = _Counts(mix, lambda step: config.data.prompts_per_step, len(sizes), not learned)
        self._bucket_counts: dict[str, _Counts] = {}
        self._replaced: dict[str, tuple[int, ...]] = {}
        self._orders: dict[tuple[str, int | None], DrawOrder] = {}
        if self._union:
            self._ends = np.cumsum([*self._sizes.values()])
            self._orders[UNION, None] = DrawOrder(np.arange(self._ends[-1]), config.seed, UNION)
            return
        for number, name in enumerate(self._sizes):
            if name in buckets:
                foreseen = not (learned or adaptive.buckets)
                course = bucket_mix(
                    config.curriculum.difficulty, config.domains[name].schedule, num_steps, not foreseen
                )
                self._add_buckets(name, number, course, foreseen)
            else:
                self._orders[name, None] = DrawOrder(np.arange(self._sizes[name]), config.seed, name)

    def next(self) -> StepPlan:
        """The plan of the next step.

        Raises:
            ConfigError: No problem of a domain fits.
        """
        step, names = self.step, list(self._sizes)
        counts, mix = self._domains.take(step, [self.solve_rates.domain_factor(name) for name in names])
        slots: list[Slot] = []
        targets: dict[str, dict[str, float]] = {}
        replaced: dict[str, int] = {}
        if self._union:
            slots = [self._draw_from_union() for _ in range(self._config.data.prompts_per_step)]
        else:
            for name, count in zip(names, counts, strict=True):
                if name in self._bucket_counts:
                    own, targets[name], replaced[name] = self._draw_buckets(name, count)
                    slots += own
                else:
                    slots += [Slot(name, None, self._draw(name, None)) for _ in range(count)]
        self.step += 1
        order = permutation(len(slots), "batch", self._config.seed, step)
        domain_targets = dict(zip(names, map(float, mix), strict=True))
        return StepPlan(step, tuple(slots[i] for i in order), domain_targets, targets, replaced)

    def another(self, slot: Slot) -> Slot:
        """The next problem in the order that a slot's problem came from, beside the plan of the steps."""
        if self._union:
            return self._draw_from_union()
        bucket = BUCKETS.index(slot.bucket) if slot.bucket is not None else None
        return slot._replace(index=self._draw(slot.domain, bucket))

    def state(self) -> dict[str, Any]:
        """Everything that the next plans depend on, as JSON values."""
        return {
            "step": self.step,
            "domain_lags": self._domains.lags(self.step),
            "bucket_lags": {name: part.lags(self.step) for name, part in self._bucket_counts.items()},
            "cursors": [[name, bucket, order.cursor] for (name, bucket), order in self._orders.items()],
            "solve_rates": self.solve_rates.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken of the same problems and settings."""
        self.step = state["step"]
        self._domains.restore(self.step, state["domain_lags"])
        for name, lags in state["bucket_lags"].items():
            self._bucket_counts[name].restore(self.step, lags)
        for name, bucket, cursor in state["cursors"]:
            self._orders[name, bucket].cursor = cursor
        self.solve_rates.restore(state["solve_rates"])

    def _add_buckets(self, name: str, number: int, course: ChangingMix, foreseen: bool) -> None:
        members = [np.flatnonzero(self._buckets[name] == bucket) for bucket in range(len(BUCKETS))]
        instead = self._replaced[name] = replaced_buckets([len(own) for own in members])
        for bucket, other in enumerate(instead):
            if other != bucket:
                logger.warning(
                    "domain %s has no %s problems; %s ones are drawn in their place",
                    name,
                    BUCKETS[bucket],
                    BUCKETS[other],
                )
        for bucket in set(instead):
            self._orders[name, bucket] = DrawOrder(members[bucket], self._config.seed, name, BUCKETS[bucket])
        places = (
            (lambda step: self._domains.counts(step)[number]) if foreseen else (lambda step: self._places_now[name])
        )
        self._bucket_counts[name] = _Counts(course, places, len(BUCKETS), foreseen)

    def _draw_buckets(self, name: str, count: int) -> tuple[list[Slot], dict[str, float], int]:
        """Slots of a domain with buckets in this step, the bucket weights in force, and how many were replaced."""
        self._places_now[name] = count
        factors = [self.solve_rates.bucket_factor(name, bucket) for bucket in BUCKETS]
        counts, mix = self._bucket_counts[name].take(self.step, factors)
        slots, replaced = [], 0
        for bucket, (instead, number) in enumerate(zip(self._replaced[name], counts, strict=True)):
            slots += [Slot(name, BUCKETS[instead], self._draw(name, instead)) for _ in range(number)]
            replaced += number * (instead != bucket)
        return slots, dict(zip(BUCKETS, map(float, mix), strict=True)), replaced

    def _draw(self, name: str, bucket: int | None) -> int:
        order = self._orders[name, bucket]
        found = order.next(lambda index, number: self._fits(name, index) and self._wanted(name, index, number))
        if found is None:
            # Everything rests or was left to a later pass: better one of these than none.
            found = order.next(lambda index, number: self._fits(name, index))
        if found is None:
            which = f"{BUCKETS[bucket]} " if bucket is not None else ""
            raise ConfigError(
                f"domain {name}: all {len(order)} {which}prompts are longer than data.max_prompt_tokens; raise it"
            )
        return found

    def _draw_from_union(self) -> Slot:
        names = list(self._sizes)

        def place(member: int) -> tuple[str, int]:
            own = int(np.searchsorted(self._ends, member, side="right"))
            return names[own], member - (int(self._ends[own - 1]) if own else 0)

        order = self._orders[UNION, None]
        found = order.next(lambda member, number: self._fits(*place(member)) and self._wanted(*place(member), number))
        if found is None:
            found = order.next(lambda member, number: self._fits(*place(member)))
        if found is None:
            raise ConfigError(f"all {len(order)} prompts are longer than data.max_prompt_tokens; raise it")
        name, index = place(found)
        bucket = BUCKETS[self._buckets[name][index]] if name in self._buckets else None
        return Slot(name, bucket, index)

    def _wanted(self, name: str, index: int, number: int) -> bool:
        """Whether what was learned lets a problem be drawn in this step and pass."""
        rates = self.solve_rates
        if rates.rests(name, index, self.step):
            return False
        factor = rates.problem_factor(name, index)
        return factor >= 1 or fraction("problem", self._config.seed, name, index, number) < factor
