# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that says when and how held-out problems are asked."""

from dataclasses import dataclass

from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class EvaluationConfig:
    """Held-out accuracy during training, from `data.eval_sources`."""

    every_steps: int = 0
    """Also before the first step and after the last; 0 is never."""
    before_training: bool = True
    """Whether the starting model is evaluated too."""
    samples_per_problem: int = 1
    """Completions of each problem (n); pass@k and maj@k are reported for powers of two up to it, and for it."""
    temperature: float = 0.0
    """0 is greedy, which has one completion a problem."""
    max_problems: int | None = None
    """At most this many problems of each domain."""
    confidence: float = 0.95
    """Share of resampled means inside the interval of pass@1."""
    bootstrap_resamples: int = 1000
    """Draws of problems behind that interval."""
    keep_examples: bool = True
    """Write every completion with its scores to `evaluations/step-000010.parquet` in the run's folder."""


def check_evaluation(evaluation: EvaluationConfig) -> None:
    """Check ranges.

    Raises:
        ConfigError: A value is out of range or two contradict each other; the message names them.
    """
    for name in ("samples_per_problem", "bootstrap_resamples"):
        if getattr(evaluation, name) <= 0:
            raise ConfigError(f"evaluation.{name}={getattr(evaluation, name)} must be above 0")
    if not 0 < evaluation.confidence < 1:
        raise ConfigError(f"evaluation.confidence={evaluation.confidence} must be between 0 and 1")
    if evaluation.temperature < 0:
        raise ConfigError(f"evaluation.temperature={evaluation.temperature} must be at least 0; 0 is greedy")
    if evaluation.samples_per_problem > 1 and evaluation.temperature == 0:
        raise ConfigError(
            f"evaluation.samples_per_problem={evaluation.samples_per_problem} greedy completions would all be the "
            "same; set evaluation.temperature above 0"
        )
