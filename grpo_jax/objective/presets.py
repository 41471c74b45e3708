# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the names of `objective.name` stand for; parts that the user set win over the name."""

from dataclasses import dataclass

from grpo_jax.config import ObjectiveConfig
from grpo_jax.objective.advantages import AdvantageMethod
from grpo_jax.objective.aggregation import Aggregation
from grpo_jax.objective.kl import KlEstimator
from grpo_jax.records import ConfigError

PRESETS: dict[str, tuple[AdvantageMethod, Aggregation]] = {
    # TRL's `loss_type="grpo"` with its default reward scaling.
    "grpo": ("group_std", "row_mean"),
    # https://arxiv.org/abs/2503.20783, TRL's `loss_type="dr_grpo"` with `scale_rewards="none"`.
    "dr_grpo": ("group_mean", "row_sum_constant"),
}


@dataclass(frozen=True)
class ResolvedObjective:
    """`ObjectiveConfig` with nothing left open; hashable, so it can be a static argument of a compiled update."""

    name: str
    clip_low: float
    clip_high: float
    kl_coefficient: float
    kl_estimator: KlEstimator
    aggregation: Aggregation
    advantage: AdvantageMethod


def resolve(config: ObjectiveConfig) -> ResolvedObjective:
    """Fill the parts left at None from the named preset.

    Raises:
        ConfigError: The name is unknown, or a bound or coefficient is out of range.
    """
    if config.name not in PRESETS:
        raise ConfigError(f"objective.name={config.name} is unknown; use one of {', '.join(PRESETS)}")
    if not 0 <= config.clip_low <= 1:
        raise ConfigError(f"objective.clip_low={config.clip_low} must be in [0, 1]; ratios are never below 0")
    if config.clip_high < 0:
        raise ConfigError(f"objective.clip_high={config.clip_high} must be at least 0")
    if config.kl_coefficient < 0:
        raise ConfigError(f"objective.kl_coefficient={config.kl_coefficient} must be at least 0; 0 is off")
    advantage, aggregation = PRESETS[config.name]
    return ResolvedObjective(
        name=config.name,
        clip_low=config.clip_low,
        clip_high=config.clip_high,
        kl_coefficient=config.kl_coefficient,
        kl_estimator=config.kl_estimator,
        aggregation=config.aggregation or aggregation,
        advantage=config.advantage or advantage,
    )
