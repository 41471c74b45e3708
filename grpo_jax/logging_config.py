# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run writes about itself, where, how often, and what it warns of."""

import re
from dataclasses import dataclass, fields
from typing import Literal

from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class WandbConfig:
    """Weights & Biases, which `pip install grpo-jax[wandb]` brings."""

    mode: Literal["disabled", "online", "offline"] = "disabled"
    """`offline` writes into the run's folder, for `wandb sync` to send later."""
    project: str = "grpo-jax"
    entity: str | None = None
    """User or team; None is the account's own default."""
    group: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class WarningsConfig:
    """When a run warns. Each warning is said once, and again only after `recovery_steps` without its cause."""

    enabled: bool = True
    recovery_steps: int = 20
    """Steps in a row without the cause after which a warning may be said again."""
    flat_reward_steps: int = 200
    """Steps over which the mean reward must move; 0 never warns."""
    flat_reward_change: float = 0.02
    """Least difference between the means of the four quarters of `flat_reward_steps`; rewards near their best are left
    alone: no warning where 95 % of the completions pass."""
    max_kl: float = 0.5
    """Mean KL to the reference over 5 steps, in nats per token, above which to warn; 0 never warns."""
    zero_variance_steps: int = 3
    """Steps in a row in which no group teaches anything; 0 never warns."""
    truncated_share: float = 0.5
    """Share of a domain's completions, over 5 steps, that hit the token limit; 1 never warns."""
    verifier_failures: float = 0.01
    """Share of a domain's completions, over 20 steps, whose checker failed; 1 never warns."""
    entropy_fraction: float = 0.1
    """Mean entropy of 10 steps, as a fraction of the first 10 steps' mean, below which to warn; 0 never warns."""
    mismatch_growth: float = 3.0
    """Mean |sampler logprob - trainer logprob| of 10 steps, as a multiple of the first 10 steps' mean, above which to
    warn; 0 never warns."""
    mismatch_floor: float = 0.01
    """A mismatch below this, in nats, is never warned of, whatever it grew from."""


@dataclass(frozen=True)
class LoggingConfig:
    """What is written while running."""

    enabled: bool = True
    """False writes log.txt and metrics.jsonl alone: no tracker, completions, report or live panel."""
    tensorboard: bool = True
    wandb: WandbConfig = WandbConfig()
    trackers: tuple[str, ...] = ()
    """Dotted paths of further `grpo_jax.tracking.tracker.Tracker` classes, as in `my_package.mlflow_tracker.Mlflow`."""
    every_steps: int = 1
    """Steps between lines on the console; metrics.jsonl gets every step."""
    completions_every_steps: int = 10
    """Steps between files of completions."""
    samples_every_steps: int = 10
    """Steps between histograms and text samples in the trackers; 0 is never."""
    report_every_steps: int = 50
    """Steps between versions of report.html; 0 writes it at the end alone."""
    profile_steps: str = ""
    """`A-B` or `A`: steps whose trace goes to `profile/`, for TensorBoard and Perfetto; empty traces none."""
    warnings: WarningsConfig = WarningsConfig()


def profiled_steps(text: str) -> range:
    """Steps that `logging.profile_steps` names; empty where it is empty.

    Raises:
        ConfigError: It is neither a step nor a range of steps from 1.
    """
    if not text:
        return range(0)
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise ConfigError(f"logging.profile_steps={text!r} must be a step or first-last, steps counted from 1: 5-7")
    return range(first, last + 1)


def check_logging(settings: LoggingConfig) -> None:
    """Check what no single type can say.

    Raises:
        ConfigError: A value is out of range; the message names it.
    """
    profiled_steps(settings.profile_steps)
    for name in ("every_steps", "completions_every_steps"):
        if getattr(settings, name) <= 0:
            raise ConfigError(f"logging.{name}={getattr(settings, name)} must be above 0")
    for name in ("samples_every_steps", "report_every_steps"):
        if getattr(settings, name) < 0:
            raise ConfigError(f"logging.{name}={getattr(settings, name)} must be at least 0; 0 is never")
    warnings = settings.warnings
    for field in fields(warnings):
        value = getattr(warnings, field.name)
        if value < 0:
            raise ConfigError(f"logging.warnings.{field.name}={value} must be at least 0")
    for name in ("truncated_share", "verifier_failures", "entropy_fraction"):
        if getattr(warnings, name) > 1:
            raise ConfigError(f"logging.warnings.{name}={getattr(warnings, name)} is a share; it must be at most 1")
    if 0 < warnings.flat_reward_steps < 4:
        raise ConfigError(
            f"logging.warnings.flat_reward_steps={warnings.flat_reward_steps} has no quarters; use 4 or more, or 0 for "
            "never"
        )
