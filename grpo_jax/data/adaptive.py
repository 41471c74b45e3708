# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the draw learns from solve rates: factors on domains, buckets and problems, and problems that rest.

A group teaches most where its completions disagree, which is where the solve rate is near the target. A rate p is
therefore worth floor + (1 - floor) x (1 - |p - target| / max(target, 1 - target)); what was never tried is worth 1.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpo_jax.curriculum_config import AdaptiveConfig
from grpo_jax.records import RewardStatus, RolloutGroup


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one drawn problem went.

    Attributes:
        domain: Of the problem.
        bucket: Of the problem, if any.
        index: Its number in the domain.
        solved: Completions that passed.
        judged: Completions whose checker did not fail.
    """

    domain: str
    bucket: str | None
    index: int
    solved: int
    judged: int


def outcomes_of(groups: Iterable[RolloutGroup]) -> list[Outcome]:
    """Outcomes of scored groups, those left out that no checker judged or that were not drawn by the loader."""
    outcomes = []
    for group in groups:
        statuses = [rollout.reward.status for rollout in group.rollouts]
        judged = sum(status != RewardStatus.INVALID for status in statuses)
        prompt = group.prompt
        if judged and prompt.index is not None:
            solved = sum(status == RewardStatus.PASS for status in statuses)
            outcomes.append(Outcome(prompt.problem.domain, prompt.bucket, prompt.index, solved, judged))
    return outcomes


class SolveRates:
    """Recent solve rates of domains, buckets and problems, and what they are worth to the draw.

    Everything is a pure function of the outcomes recorded so far, in their order.
    """

    def __init__(self, settings: AdaptiveConfig) -> None:
        self._settings = settings
        self._domains: dict[str, float] = {}
        self._buckets: dict[str, dict[str, float]] = {}
        # By domain and problem: recent rate, visits in a row with all (> 0) or none (< 0) solved, end of its rest.
        self._problems: dict[str, dict[int, tuple[float, int, int]]] = {}

    @property
    def used(self) -> bool:
        """Whether anything is to be learned."""
        settings = self._settings
        return settings.buckets or settings.problems or settings.domain_weights or settings.rest_after > 0

    def record(self, step: int, outcomes: Sequence[Outcome]) -> None:
        """Learn from a step's outcomes."""
        if not self.used:
            return
        for outcome in outcomes:
            rate = outcome.solved / outcome.judged
            self._update(self._domains, outcome.domain, rate)
            if outcome.bucket is not None:
                self._update(self._buckets.setdefault(outcome.domain, {}), outcome.bucket, rate)
            if self._settings.problems or self._settings.rest_after:
                self._record_problem(step, outcome, rate)

    def domain_factor(self, domain: str) -> float:
        """Factor on the domain's weight, in [floor, 1]."""
        return self._worth(self._domains.get(domain)) if self._settings.domain_weights else 1.0

    def bucket_factor(self, domain: str, bucket: str) -> float:
        """Factor on the bucket's weight, in [floor, 1]."""
        return self._worth(self._buckets.get(domain, {}).get(bucket)) if self._settings.buckets else 1.0

    def problem_factor(self, domain: str, index: int) -> float:
        """Fraction of the passes over its bucket in which the problem is drawn, in [floor, 1]."""
        if not self._settings.problems:
            return 1.0
        known = self._problems.get(domain, {}).get(index)
        return self._worth(known[0] if known else None)

    def rests(self, domain: str, index: int, step: int) -> bool:
        """Whether the problem is left alone at a step."""
        known = self._problems.get(domain, {}).get(index)
        return known is not None and step < known[2]

    def metrics(self) -> dict[str, float]:
        """Recent solve rates by domain and bucket."""
        found = {f"curriculum/{domain}/solve_rate": rate for domain, rate in self._domains.items()}
        for domain, buckets in self._buckets.items():
            found |= {f"curriculum/{domain}/{bucket}_solve_rate": rate for bucket, rate in buckets.items()}
        return found

    def resting(self, step: int) -> int:
        """Number of problems that rest at a step."""
        return sum(step < known[2] for own in self._problems.values() for known in own.values())

    def state(self) -> dict[str, Any]:
        """What was learned, as JSON values."""
        problems = {name: [[index, *known] for index, known in own.items()] for name, own in self._problems.items()}
        buckets = {name: dict(own) for name, own in self._buckets.items()}
        return {"domains": dict(self._domains), "buckets": buckets, "problems": problems}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` told."""
        self._domains = dict(state["domains"])
        self._buckets = {name: dict(own) for name, own in state["buckets"].items()}
        self._problems = {
            name: {index: (rate, streak, until) for index, rate, streak, until in own}
            for name, own in state["problems"].items()
        }

    def _record_problem(self, step: int, outcome: Outcome, rate: float) -> None:
        own = self._problems.setdefault(outcome.domain, {})
        before = own.get(outcome.index)
        recent, streak, until = before or (rate, 0, 0)
        if before is not None:
            recent = self._blend(recent, rate)
        sign = {0.0: -1, 1.0: 1}.get(rate, 0)
        streak = (streak if streak * sign > 0 else 0) + sign
        if self._settings.rest_after and abs(streak) >= self._settings.rest_after:
            # One visit after the rest is enough to go back to it, or to end it.
            streak, until = sign * (self._settings.rest_after - 1), step + 1 + self._settings.rest_steps
        own[outcome.index] = (recent, streak, until)

    def _update(self, rates: dict[str, float], name: str, rate: float) -> None:
        rates[name] = self._blend(rates[name], rate) if name in rates else rate

    def _blend(self, recent: float, rate: float) -> float:
        return self._settings.memory * recent + (1 - self._settings.memory) * rate

    def _worth(self, rate: float | None) -> float:
        if rate is None:
            return 1.0
        target, floor = self._settings.target_solve_rate, self._settings.floor
        return floor + (1 - floor) * (1 - abs(rate - target) / max(target, 1 - target))
