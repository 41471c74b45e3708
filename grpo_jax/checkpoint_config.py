# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that says what of a run survives a stop."""

from dataclasses import dataclass

from grpo_jax.evaluation_config import EvaluationConfig
from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class CheckpointConfig:
    """When checkpoints are written, which are kept, and where."""

    every_steps: int = 50
    """Also at the end and when told to stop; 0 is never."""
    every_minutes: float = 0.0
    """Also after the first step that ends so long after the last checkpoint; 0 is never."""
    keep: int = 2
    """Newest checkpoints kept."""
    keep_best: int = 0
    """Kept besides: so many checkpoints of the best evaluations, each saved when it comes among them; 0 is none."""
    best_by: str = "pass@1"
    """What makes an evaluation the better the higher it is: a figure (`pass@1`, `maj@4`, `reward`), of which the mean
    over the domains counts, or a metric's full name, as in `eval/math/pass@1`."""
    folder: str = ""
    """Folder, local or a `gs://` address, in whose EXP_NAME/checkpoints/ they are; empty is `output_dir`."""
    grace_seconds: float = 300.0
    """Time to leave after SIGTERM or a maintenance notice. A step that has not ended by then is given up, and the run
    goes on later from what was saved before. Set it to a little less than what the platform grants."""


def check_checkpoint(settings: CheckpointConfig, evaluation: EvaluationConfig) -> None:
    """Check ranges.

    Raises:
        ConfigError: A value is out of range, or two contradict each other; the message names them.
    """
    for name in ("every_steps", "every_minutes", "keep_best"):
        if getattr(settings, name) < 0:
            raise ConfigError(f"checkpoint.{name}={getattr(settings, name)} must be at least 0")
    for name in ("keep", "grace_seconds"):
        if getattr(settings, name) <= 0:
            raise ConfigError(f"checkpoint.{name}={getattr(settings, name)} must be above 0")
    if settings.keep_best and not evaluation.every_steps:
        raise ConfigError(
            f"checkpoint.keep_best={settings.keep_best} goes by evaluations, and evaluation.every_steps=0 makes none"
        )
