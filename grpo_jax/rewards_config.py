# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The sections of a config that say how completions are scored and which reward parts count when."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from grpo_jax.records import ConfigError

THREE_PHASES = (0.0, 0.25, 0.75)
"""Progress at which three phases begin where none of them says so itself."""


@dataclass(frozen=True)
class RewardsConfig:
    """The workers that score completions."""

    workers: int | None = None
    """Worker processes on this host, never more than its cores; None takes half of the cores, at most 32."""
    cpu_seconds: float = 5.0
    """CPU time of one completion's check, after which its worker is killed and the status is `timeout`."""
    timeout_seconds: float | None = None
    """Wall time of one check, the backstop; None is 4 x `cpu_seconds`. Who reaches it with less than half of
    `cpu_seconds` used is checked once more, with nothing beside it."""
    queue_size: int = 4096
    """Completions that may wait for a worker; whoever submits more waits, so sampling cannot run ahead of scoring."""
    recycle_tasks: int = 10_000
    """Completions after which a worker is replaced by a fresh one."""
    max_worker_bytes: int = 2 * 2**30
    """Resident memory above which a worker is replaced after its task; at twice as much it is killed in mid-task."""
    sandbox: Literal["auto", "bubblewrap", "landlock", "none"] = "auto"
    """What confines model-written code; `auto` takes the strongest that passes its self-test, and logs it."""
    run_unconfined_code: bool = False
    """The second acknowledgement that `sandbox=none` needs: model-written code then runs with the user's rights."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Reward name -> keyword settings of its function; `Domain.reward_settings` wins key by key."""
    on_invalid: Literal["mask", "drop_group"] = "mask"
    """When the checker itself fails: leave the rollout out of its group, or leave the group out of the update."""
    max_invalid_step: float = 0.2
    """Share of a step's completions whose checker may fail; more stops the run."""
    max_invalid_mean: float = 0.02
    """The same for the mean over the last 20 steps."""


@dataclass(frozen=True)
class RewardPhase:
    """A stretch of the run in which some reward parts count and others do not. Phases only ever go forward."""

    name: str = ""
    parts: Mapping[str, float] | None = None
    """Reward name -> factor on its weight. A part that is not named is off and not computed; one with factor 0 is
    computed and logged without counting. None leaves every part on with factor 1."""
    from_progress: float | None = None
    """Begins when steps done / steps in all reach this. Three phases of which none says when begin at 0, 0.25, 0.75."""
    metric: str = ""
    """Begins when this metric of the step, such as `reward/math/answer_given`, has been above `above` long enough;
    where `from_progress` stands beside it, whichever comes first."""
    above: float = 0.95
    """Threshold of `metric`."""
    for_steps: int = 20
    """Steps in a row that `metric` must be above `above`; steps that do not report it are passed over."""


def phase_starts(phases: Sequence[RewardPhase]) -> tuple[float | None, ...]:
    """Progress at which each phase begins; None for one that waits for its metric alone."""
    silent = all(phase.from_progress is None and not phase.metric for phase in phases)
    if silent and len(phases) == len(THREE_PHASES):
        return THREE_PHASES
    return (0.0, *(phase.from_progress for phase in phases[1:])) if phases else ()


def check_rewards(config: RewardsConfig) -> None:
    """Check ranges.

    Raises:
        ConfigError: A value is out of range or contradicts another; the message names it.
    """
    positive = {
        "workers": config.workers,
        "cpu_seconds": config.cpu_seconds,
        "timeout_seconds": config.timeout_seconds,
        "queue_size": config.queue_size,
        "recycle_tasks": config.recycle_tasks,
        "max_worker_bytes": config.max_worker_bytes,
    }
    for name, value in positive.items():
        if value is not None and value <= 0:
            raise ConfigError(f"rewards.{name}={value} must be above 0")
    for name in ("max_invalid_step", "max_invalid_mean"):
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise ConfigError(f"rewards.{name}={value} must be between 0 and 1")
    if config.sandbox == "none" and not config.run_unconfined_code:
        raise ConfigError(
            "rewards.sandbox=none runs model-written code with your rights; set rewards.run_unconfined_code=true to "
            "acknowledge it, or leave rewards.sandbox=auto"
        )


def check_phases(phases: Sequence[RewardPhase], rewards_by_domain: Mapping[str, Mapping[str, float]]) -> None:
    """Check the phases against each other and against the domains' rewards.

    Args:
        phases: In their order.
        rewards_by_domain: Domain -> reward name -> weight.

    Raises:
        ConfigError: A phase has no beginning, begins before its predecessor, names a part of no domain, has a factor
            without meaning, or leaves a domain without any reward.
    """
    known = dict.fromkeys(name for rewards in rewards_by_domain.values() for name in rewards)
    starts = phase_starts(phases)
    latest = 0.0
    for number, (phase, start) in enumerate(zip(phases, starts, strict=True)):
        where = f"curriculum.phases[{number}]"
        if number == 0 and (phase.metric or phase.from_progress):
            raise ConfigError(f"{where} is the first and begins at 0; leave its from_progress and metric out")
        if start is None and not phase.metric:
            raise ConfigError(f"{where} does not say when it begins; set from_progress or metric")
        if start is not None:
            if not (latest < start < 1 or number == 0):
                raise ConfigError(f"{where}.from_progress={start} must be above {latest} and below 1")
            latest = start
        if phase.metric and (phase.for_steps <= 0 or not math.isfinite(phase.above)):
            raise ConfigError(f"{where} needs for_steps above 0, got {phase.for_steps}")
        if phase.parts is None:
            continue
        for name, factor in phase.parts.items():
            if name not in known:
                raise ConfigError(f"{where}.parts names {name!r}, a reward of no domain; known: {', '.join(known)}")
            if not math.isfinite(factor):
                raise ConfigError(f"{where}.parts.{name}={factor} must be finite")
        for domain, rewards in rewards_by_domain.items():
            if not any(weight and phase.parts.get(name) for name, weight in rewards.items()):
                raise ConfigError(
                    f"{where} leaves domain {domain!r} without a reward that counts; name one of {', '.join(rewards)}"
                )
