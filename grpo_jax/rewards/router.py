# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Decides which reward functions score a completion and with which weights, runs them and adds them up.

The problem's domain names the parts, their weights and their settings; the phase switches parts off or puts a factor
on their weights; the domain scales the sum.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from grpo_jax.config import Domain, RewardPhase, RewardsConfig
from grpo_jax.records import PartScore, Problem, Reward, RewardFunction, RewardStatus
from grpo_jax.rewards.registry import bind, one_line

MAX_ANSWER_LENGTH = 200
"""Characters of an answer that are kept with its reward; a vote needs no more."""


def domain_in_phase(domain: Domain, phase: RewardPhase | None) -> Domain:
    """The domain with the rewards that are on in a phase, their weights x the phase's factors; None changes nothing."""
    if phase is None or phase.parts is None:
        return domain
    on = {name: weight * phase.parts[name] for name, weight in domain.rewards.items() if name in phase.parts}
    return replace(domain, rewards=on)


def part_names(domains: Mapping[str, Domain]) -> list[str]:
    """The reward names of all domains, each once, in order."""
    return [*dict.fromkeys(name for domain in domains.values() for name in domain.rewards)]


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    weight: float
    function: RewardFunction

    def score(self, problem: Problem, completion: str) -> PartScore:
        result = self.function(problem, completion)
        if isinstance(result, PartScore):
            value, status, answer = result.value, result.status, result.answer
        else:
            value, status, answer = result, None, None
        number = float(value)  # accepts numpy scalars and bools; raises on what is no number
        if not math.isfinite(number):
            raise ValueError(f"returned {number}, which is not finite")
        short = None if answer is None else str(answer)[:MAX_ANSWER_LENGTH]
        return PartScore(number, None if status is None else RewardStatus(status), short)


class Router:
    """The reward of a (problem, completion, phase), computed in this process."""

    def __init__(
        self, domains: Mapping[str, Domain], settings: RewardsConfig | None = None, phases: Sequence[RewardPhase] = ()
    ) -> None:
        """Find every reward function and bind its settings.

        Args:
            domains: Parts, weights, settings and scale by domain.
            settings: Its `settings` hold for every domain, where the domain's own do not win.
            phases: The run's reward phases.

        Raises:
            ConfigError: A reward function cannot be found or has no such setting.
        """
        self._scales = {name: domain.reward_scale for name, domain in domains.items()}
        self._parts: dict[tuple[str, int | None], tuple[_Part, ...]] = {}
        run_wide = settings.settings if settings is not None else {}
        for domain_name, domain in domains.items():
            functions = {}
            for name in domain.rewards:
                own = domain.reward_settings.get(name, {})
                where = f"domains.{domain_name}.reward_settings" if own else "rewards.settings"
                functions[name] = bind(name, {**run_wide.get(name, {}), **own}, where)
            for number, phase in ((None, None), *enumerate(phases)):
                rewards = domain_in_phase(domain, phase).rewards
                self._parts[domain_name, number] = tuple(
                    _Part(name, weight, functions[name]) for name, weight in rewards.items()
                )

    def names(self, domain: str, phase: int | None = None) -> tuple[str, ...]:
        """Names of the parts that score a completion of this domain in this phase."""
        return tuple(part.name for part in self._parts[domain, phase])

    def score(self, problem: Problem, completion: str, phase: int | None = None) -> Reward:
        """Run every part that is on for the problem's domain.

        Args:
            problem: What was asked.
            completion: Decoded text of the assistant's turn.
            phase: Number of the phase; None has every part on with its full weight, whatever the phases say.

        Returns:
            `total` is `reward_scale` x the weighted sum of the parts. The status is that of the first part, in the
            order of `Domain.rewards`, that gives one, else pass. A part that raises, returns no finite number or says
            itself that it is invalid makes the whole reward invalid: `total` is None and `reason` says which part and
            why.

        Raises:
            KeyError: There is no such domain or phase.
        """
        start = time.perf_counter()
        values: dict[str, float] = {}
        status: RewardStatus | None = None
        answer: str | None = None
        total = 0.0

        def invalid(reason: str) -> Reward:
            return Reward(RewardStatus.INVALID, None, values, time.perf_counter() - start, reason)

        for part in self._parts[problem.domain, phase]:
            try:
                scored = part.score(problem, completion)
            except (Exception, SystemExit) as error:  # noqa: BLE001 a failed checker, however it failed, is data here
                return invalid(f"{part.name}: {one_line(error)}")
            if scored.status is RewardStatus.INVALID:
                return invalid(f"{part.name}: reported invalid")
            values[part.name] = scored.value
            total += part.weight * scored.value
            status = status or scored.status
            answer = scored.answer if answer is None else answer
        total *= self._scales[problem.domain]
        if not math.isfinite(total):
            return invalid(f"the parts add up to {total}")
        seconds = time.perf_counter() - start
        return Reward(status or RewardStatus.PASS, total, values, seconds, answer=answer)
