# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run warns of, decided from its metrics alone, so that a resumed run knows what has been said.

Each check is a function of the history up to a step. A warning is said when its check begins to hold, and again only
when it has not held for `recovery_steps` steps in between.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from grpo_jax.logging_config import WarningsConfig

_KL_STEPS = 5
_TRUNCATION_STEPS = 5
_VERIFIER_STEPS = 20
_TREND_STEPS = 10
_SATURATED = 0.95


@dataclass(frozen=True)
class RunWarning:
    """Something that a person should look at.

    Attributes:
        step: Step at which it began.
        cause: Names the check, and the domain where it has one: `truncated/math`.
        text: What is seen and what to try, one line.
    """

    step: int
    cause: str
    text: str


class History:
    """Values of each metric in the order of their steps; steps that do not report a metric are not in its list."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}
        self._domains: dict[str, tuple[int, list[tuple[str, str]]]] = {}  # by pattern, for so many metrics

    def add(self, metrics: Mapping[str, float]) -> None:
        """Append one step."""
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value)

    def last(self, name: str, count: int) -> list[float] | None:
        """The last `count` values, or None where there are fewer (or none are asked for)."""
        found = self._values.get(name, [])
        return found[-count:] if 0 < count <= len(found) else None

    def first(self, name: str, count: int) -> list[float]:
        """The first values, up to `count`."""
        return self._values.get(name, [])[:count]

    def count(self, name: str) -> int:
        """How many steps reported a metric."""
        return len(self._values.get(name, []))

    def domains(self, pattern: str) -> list[tuple[str, str]]:
        """Pairs of domain and metric for the metrics that a pattern with one group matches whole."""
        known, pairs = self._domains.get(pattern, (0, []))
        if known != len(self._values):
            pairs = [(found[1], name) for name in self._values if (found := re.fullmatch(pattern, name))]
            self._domains[pattern] = len(self._values), pairs
        return pairs


Check = Callable[[History, WarningsConfig], dict[str, str]]
"""Gives the causes that hold at the history's last step, each with its text."""


def flat_reward(history: History, settings: WarningsConfig) -> dict[str, str]:
    """The mean rewards of the window's quarters are all the same, and completions still fail.

    Quarters rather than halves: a slow rise that noise hides between two means still shows among four.
    """
    values = history.last("reward/mean", settings.flat_reward_steps)
    if values is None:
        return {}
    passed = [
        share
        for _, name in history.domains(r"reward_status/([^/]+)/pass")
        for share in history.last(name, min(settings.flat_reward_steps, history.count(name))) or ()
    ]
    if passed and _mean(passed) >= _SATURATED:
        return {}
    size = len(values) // 4
    means = [_mean(values[place * size : (place + 1) * size]) for place in range(4)]
    if max(means) - min(means) > settings.flat_reward_change:
        return {}
    return {
        "flat_reward": f"the mean reward stays at {_mean(means):.3g} for {len(values)} steps; try a higher "
        "training.learning_rate, easier problems (curriculum.difficulty) or a larger sampling.group_size"
    }


def high_kl(history: History, settings: WarningsConfig) -> dict[str, str]:
    """The policy is far from its reference."""
    values = history.last("kl/mean", _KL_STEPS)
    if not settings.max_kl or values is None or _mean(values) <= settings.max_kl:
        return {}
    return {
        "high_kl": f"the KL to the reference is {_mean(values):.3g} nats a token, above logging.warnings.max_kl="
        f"{settings.max_kl}; try a lower training.learning_rate or a higher objective.kl_coefficient"
    }


def no_variance(history: History, settings: WarningsConfig) -> dict[str, str]:
    """No group of any of the last steps had rewards that differ: nothing was learned."""
    values = history.last("objective/zero_variance_groups", settings.zero_variance_steps)
    if values is None or min(values) < 1:
        return {}
    return {
        "no_variance": f"in {len(values)} steps every group's rewards were all equal, so nothing was learned; try "
        "problems the model solves sometimes, a higher sampling.temperature or group_size, or dynamic sampling"
    }


def truncated(history: History, settings: WarningsConfig) -> dict[str, str]:
    """Most completions of a domain hit the token limit."""
    found = {}
    for domain, name in history.domains(r"length/([^/]+)/truncated"):
        values = history.last(name, _TRUNCATION_STEPS)
        if values is not None and _mean(values) > settings.truncated_share:
            found[f"truncated/{domain}"] = (
                f"{_mean(values):.0%} of the completions of {domain} hit the token limit; try a higher "
                f"domains.{domain}.max_completion_tokens, a prompt that asks for less, or a length reward"
            )
    return found


def verifier_failures(history: History, settings: WarningsConfig) -> dict[str, str]:
    """A domain's checker fails, which says nothing about the completions."""
    found = {}
    for domain, name in history.domains(r"reward_status/([^/]+)/invalid"):
        values = history.last(name, _VERIFIER_STEPS)
        if values is not None and _mean(values) > settings.verifier_failures:
            found[f"verifier_failures/{domain}"] = (
                f"the checker of {domain} failed on {_mean(values):.1%} of the completions; the reasons are in "
                "completions/*.jsonl under `reason`; try `grpo-jax score` on them, or more rewards.timeout_seconds"
            )
    return found


def entropy_collapse(history: History, settings: WarningsConfig) -> dict[str, str]:
    """The policy became nearly deterministic: it no longer explores."""
    moved = _trend(history, "objective/entropy")
    if moved is None or moved[1] >= settings.entropy_fraction * moved[0]:
        return {}
    return {
        "entropy_collapse": f"the entropy fell from {moved[0]:.3g} to {moved[1]:.3g} nats a token; try a higher "
        "objective.clip_high, an objective.entropy_coefficient above 0 or a lower training.learning_rate"
    }


def growing_mismatch(history: History, settings: WarningsConfig) -> dict[str, str]:
    """Sampler and trainer disagree more and more about the same tokens."""
    moved = _trend(history, "mismatch/logprob_abs_mean")
    if not settings.mismatch_growth or moved is None:
        return {}
    if moved[1] <= max(settings.mismatch_growth * moved[0], settings.mismatch_floor):
        return {}
    return {
        "growing_mismatch": f"sampler and trainer logprobs differ by {moved[1]:.3g} nats a token, {moved[0]:.3g} at "
        "the start; try model.dtype=float32, objective.correction, or fewer updates a step"
    }


CHECKS: tuple[Check, ...] = (
    flat_reward,
    high_kl,
    no_variance,
    truncated,
    verifier_failures,
    entropy_collapse,
    growing_mismatch,
)


class RunWarnings:
    """Says each warning once. Its state follows from the rows it was shown."""

    def __init__(self, settings: WarningsConfig, rows: Sequence[Mapping[str, float]] = ()) -> None:
        """Take in what a resumed run has logged already; what it warned of is in `said`.

        Args:
            settings: When to warn.
            rows: The run's metrics so far, in order, as `metrics.read_metrics` gives them.
        """
        self._settings, self._history = settings, History()
        self._quiet: dict[str, int] = {}  # steps since a cause that was said held last
        self.said: list[RunWarning] = []
        for row in rows:
            self.observe(int(row["step"]), row)

    def observe(self, step: int, metrics: Mapping[str, float]) -> list[RunWarning]:
        """Take in one step.

        Returns:
            The warnings to say now.
        """
        if not self._settings.enabled or "reward/mean" not in metrics:  # the evaluation before training
            return []
        self._history.add(metrics)
        held = {cause: text for check in CHECKS for cause, text in check(self._history, self._settings).items()}
        new = [RunWarning(step, cause, text) for cause, text in held.items() if cause not in self._quiet]
        self._quiet = {cause: quiet + 1 for cause, quiet in self._quiet.items()} | dict.fromkeys(held, 0)
        self._quiet = {cause: q for cause, q in self._quiet.items() if q < max(self._settings.recovery_steps, 1)}
        self.said.extend(new)
        return new


def _trend(history: History, name: str) -> tuple[float, float] | None:
    """Means of a metric over the first and the last steps, where these do not overlap."""
    if history.count(name) < 2 * _TREND_STEPS:
        return None
    return _mean(history.first(name, _TREND_STEPS)), _mean(history.last(name, _TREND_STEPS) or ())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
