# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The sections of a config that say how hard problems are and when hard ones are drawn; `config.py` holds the rest."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from grpo_jax.records import ConfigError

BUCKETS = ("easy", "medium", "hard")


@dataclass(frozen=True)
class DifficultyRule:
    """How a domain's problems get a score that sorts them into buckets; larger is harder."""

    rule: Literal["field", "file_name", "prompt_length"] = "field"
    """`field` takes a number of the row, `file_name` the parameters in a problem file's name, `prompt_length` the
    characters of the user's text."""
    key: str = ""
    """Dotted place in the row. For `field`, `difficulty` where left empty; `extra_info.level` is another. A text counts
    by its first number ("Level 3" is 3). For `file_name`, `problem_file` of ground truth or extra_info where left
    empty."""
    pattern: str = ""
    """For `file_name`: a regular expression searched in the name, its named groups are the parameters. Left empty,
    every `-` or `_` followed by letters and a number is one, a last `-s...` or `seed...` aside."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """For `file_name`: parameter -> factor. Left empty, the scenario's own: grippers 5n + 3r + 2o, blocksworld n, else
    the sum of all parameters."""
    combine: Literal["sum", "product"] = "sum"
    """For `file_name`: weighted sum, or product of the parameters (to the power of their weights where given)."""
    missing: Literal["error", "medium"] = "error"
    """A problem without a score stops the run, or counts as medium."""


@dataclass(frozen=True)
class BucketSpan:
    """Shares of the buckets up to a point of the run."""

    until: float = 1.0
    """Progress (steps done / steps in all) at which the next span begins."""
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Of easy, medium and hard, relative to each other."""


@dataclass(frozen=True)
class TemperaturePoint:
    """One point of a course of temperatures."""

    progress: float = 0.0
    factor: float = 1.0
    """On the temperature that domain and bucket give."""


DEFAULT_SCHEDULE = (
    BucketSpan(until=0.3, weights=(0.7, 0.25, 0.05)),
    BucketSpan(until=0.7, weights=(0.4, 0.4, 0.2)),
    BucketSpan(until=1.0, weights=(0.2, 0.4, 0.4)),
)


@dataclass(frozen=True)
class DifficultyConfig:
    """Buckets of the domains that have a `difficulty` rule, and their course over the run."""

    percentiles: tuple[float, ...] = (0.4, 0.8)
    """Fractions of a domain's problems below medium and below hard."""
    schedule: tuple[BucketSpan, ...] = DEFAULT_SCHEDULE
    """Bucket weights by progress; `Domain.schedule` takes its place."""
    interpolation: Literal["step", "linear"] = "step"
    """`step` keeps a span's weights until its end; `linear` moves from a span's weights at its beginning to the next
    span's at its end."""
    temperature_by_bucket: Mapping[str, float] = field(default_factory=dict)
    """Bucket -> sampling temperature, in place of the domain's."""
    temperature_by_progress: tuple[TemperaturePoint, ...] = ()
    """Factor on every sampling temperature in training, linear between points."""


@dataclass(frozen=True)
class AdaptiveConfig:
    """What the draw learns from solve rates; all off by default. Balances are then kept as well as feedback allows."""

    buckets: bool = False
    """Weigh buckets by how near their recent solve rate is to `target_solve_rate`."""
    problems: bool = False
    """Draw problems the more often the nearer their own solve rate is to `target_solve_rate`."""
    domain_weights: bool = False
    """Weigh domains by how near their recent solve rate is to `target_solve_rate`."""
    mix_correction: bool = False
    """Correct the mix for domains whose rollouts take longer, counting those in flight. Acts where rollouts finish out
    of order; where every step waits for all of its rollouts there is nothing to correct."""
    rest_after: int = 0
    """Visits in a row with all or no completions solved after which a problem rests; 0 is never."""
    rest_steps: int = 100
    """Steps of rest."""
    target_solve_rate: float = 0.5
    floor: float = 0.1
    """Least factor on a weight, so that nothing starves."""
    memory: float = 0.9
    """What remains of a recent rate at each new observation."""


def check_curriculum(difficulty: DifficultyConfig, adaptive: AdaptiveConfig) -> None:
    """Check ranges.

    Raises:
        ConfigError: A value is out of range; the message names it.
    """
    low_high = difficulty.percentiles
    if len(low_high) != 2 or not 0 < low_high[0] < low_high[1] < 1:
        raise ConfigError(
            f"curriculum.difficulty.percentiles={list(low_high)} must be two ascending numbers between 0 and 1"
        )
    check_schedule(difficulty.schedule, "curriculum.difficulty.schedule")
    for bucket, temperature in difficulty.temperature_by_bucket.items():
        if bucket not in BUCKETS:
            raise ConfigError(
                f"curriculum.difficulty.temperature_by_bucket names {bucket!r}; buckets are {', '.join(BUCKETS)}"
            )
        if temperature <= 0:
            raise ConfigError(f"curriculum.difficulty.temperature_by_bucket.{bucket}={temperature} must be above 0")
    points = difficulty.temperature_by_progress
    if any(point.factor <= 0 for point in points):
        raise ConfigError("curriculum.difficulty.temperature_by_progress has a factor that is not above 0")
    if any(late.progress <= early.progress for early, late in pairwise(points)):
        raise ConfigError("curriculum.difficulty.temperature_by_progress must ascend in progress")
    for name in ("target_solve_rate", "floor", "memory"):
        value = getattr(adaptive, name)
        if not 0 < value < 1:
            raise ConfigError(f"curriculum.adaptive.{name}={value} must be between 0 and 1")
    if adaptive.rest_after < 0:
        raise ConfigError(f"curriculum.adaptive.rest_after={adaptive.rest_after} must be at least 0; 0 is never")
    if adaptive.rest_steps <= 0:
        raise ConfigError(f"curriculum.adaptive.rest_steps={adaptive.rest_steps} must be above 0")


def check_rule(rule: DifficultyRule, where: str) -> None:
    """Check a domain's difficulty rule.

    Raises:
        ConfigError: Its pattern is no regular expression or names no parameter.
    """
    if not rule.pattern:
        return
    try:
        compiled = re.compile(rule.pattern)
    except re.error as error:
        raise ConfigError(f"{where}.pattern={rule.pattern!r} is not a regular expression: {error}") from error
    if not compiled.groupindex:
        raise ConfigError(f"{where}.pattern={rule.pattern!r} has no named group; write parameters as (?P<n>\\d+)")
    unknown = [name for name in rule.weights if name not in compiled.groupindex]
    if unknown:
        raise ConfigError(f"{where}.weights names {unknown[0]!r}, which the pattern lacks")


def check_schedule(schedule: tuple[BucketSpan, ...], where: str) -> None:
    """Check the spans of a schedule.

    Raises:
        ConfigError: It is empty, does not ascend to 1, or a span's weights have no meaning.
    """
    if not schedule or schedule[-1].until != 1:
        raise ConfigError(f"{where} must end with a span until 1")
    ends = [0.0, *(span.until for span in schedule)]
    if any(late <= early for early, late in pairwise(ends)):
        raise ConfigError(f"{where} must ascend in until, from above 0 to 1; it has {ends[1:]}")
    for span in schedule:
        wrong = len(span.weights) != len(BUCKETS) or not all(w >= 0 and math.isfinite(w) for w in span.weights)
        if wrong or not any(span.weights):
            raise ConfigError(
                f"{where} has weights {list(span.weights)}; each span needs three, of {', '.join(BUCKETS)}, "
                "none below 0 and not all 0"
            )
