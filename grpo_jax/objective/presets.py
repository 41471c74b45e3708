# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the names of `objective.name` stand for; parts that the user set win over the name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from grpo_jax.config import Domain, ObjectiveConfig
from grpo_jax.objective.advantages import AdvantageMethod
from grpo_jax.objective.aggregation import Aggregation
from grpo_jax.objective.correction import CorrectionLevel, CorrectionMode
from grpo_jax.objective.kl import KlEstimator
from grpo_jax.objective.policy_loss import PolicyLoss, RatioLevel
from grpo_jax.records import ConfigError

_GRPO: dict[str, Any] = {
    "policy_loss": "clip",
    "ratio": "token",
    "clip_low": 0.2,
    "clip_high": 0.2,
    "kl_estimator": "k3",
    "kl_in": "loss",
    "aggregation": "row_mean",
    "advantage": "group_std",
    "mask_truncated": False,
    "dynamic_sampling": False,
}
PRESETS: dict[str, dict[str, Any]] = {
    # TRL's `loss_type="grpo"` with its default reward scaling.
    "grpo": _GRPO,
    # https://arxiv.org/abs/2503.20783, TRL's `loss_type="dr_grpo"` with `scale_rewards="none"`.
    "dr_grpo": {**_GRPO, "advantage": "group_mean", "aggregation": "row_sum_constant"},
    # https://arxiv.org/abs/2503.14476; its overlong punishment also needs `overlong_buffer_tokens`.
    "dapo": {
        **_GRPO,
        "clip_high": 0.28,
        "aggregation": "token_mean",
        "mask_truncated": True,
        "dynamic_sampling": True,
    },
    # https://arxiv.org/abs/2507.18071, section 5.1 for the bounds.
    "gspo": {**_GRPO, "ratio": "sequence", "clip_low": 3e-4, "clip_high": 4e-4},
    "gspo_token": {**_GRPO, "ratio": "sequence_token", "clip_low": 3e-4, "clip_high": 4e-4},
    # https://arxiv.org/abs/2506.13585; no lower bound, a cap of 5 as in https://arxiv.org/abs/2510.13786.
    "cispo": {**_GRPO, "policy_loss": "cispo", "clip_low": 1.0, "clip_high": 4.0, "aggregation": "token_mean"},
    # https://arxiv.org/abs/2402.14740: whole completions are the actions, KL is part of their reward.
    "rloo": {
        **_GRPO,
        "advantage": "leave_one_out",
        "aggregation": "row_sum",
        "kl_in": "reward",
        "kl_estimator": "k1",
    },
    # https://arxiv.org/abs/2501.03262: token returns with the KL of every token, whitened over the step.
    "reinforce_plus_plus": {
        **_GRPO,
        "advantage": "whitened",
        "aggregation": "token_mean",
        "kl_in": "reward",
        "kl_estimator": "k1",
    },
}


@dataclasses.dataclass(frozen=True)
class ResolvedObjective:
    """`ObjectiveConfig` with nothing left open; hashable, so it can be a static argument of a compiled update.

    What differs by domain (bounds, coefficients) is in `domain_terms.DomainTerms`.

    Attributes:
        kl_estimators: Those in use by any domain, without repeats; empty where no domain has a KL term.
        use_entropy: Whether any domain has an entropy coefficient.
    """

    name: str
    policy_loss: PolicyLoss
    ratio: RatioLevel
    dual_clip: float | None
    kl_estimators: tuple[KlEstimator, ...]
    kl_in_reward: bool
    kl_max_difference: float | None
    kl_max: float | None
    use_entropy: bool
    aggregation: Aggregation
    advantage: AdvantageMethod
    advantage_epsilon: float
    advantage_ddof: int
    correction: CorrectionMode
    correction_level: CorrectionLevel
    correction_min: float
    correction_max: float
    offpolicy_threshold: float | None
    mask_truncated: bool
    overlong_buffer_tokens: int
    overlong_penalty: float
    dynamic_sampling: bool

    @property
    def uses_reference(self) -> bool:
        """Whether the frozen reference is needed."""
        return bool(self.kl_estimators)


def fill(config: ObjectiveConfig) -> ObjectiveConfig:
    """The same objective with the parts left at None taken from its name.

    Raises:
        ConfigError: The name is unknown.
    """
    if config.name not in PRESETS:
        raise ConfigError(f"objective.name={config.name} is unknown; use one of {', '.join(PRESETS)}")
    parts = {key: value for key, value in PRESETS[config.name].items() if getattr(config, key) is None}
    return dataclasses.replace(config, **parts)


def resolve(config: ObjectiveConfig, domains: Mapping[str, Domain] | None = None) -> ResolvedObjective:
    """Fill what the name implies and check every bound and coefficient.

    Args:
        config: The run-wide objective.
        domains: The run's domains, whose own terms decide which estimators are needed.

    Raises:
        ConfigError: The name is unknown, or a bound or coefficient is out of range.
    """
    full = fill(config)
    domains = domains or {}
    _check(full, domains)
    coefficients = [
        (full.kl_coefficient if own.kl_coefficient is None else own.kl_coefficient, own.kl_estimator)
        for own in domains.values()
    ] or [(full.kl_coefficient, None)]
    estimators = [estimator or full.kl_estimator for coefficient, estimator in coefficients if coefficient > 0]
    entropies = [full.entropy_coefficient, *(own.entropy_coefficient or 0.0 for own in domains.values())]
    same = {field.name for field in dataclasses.fields(ResolvedObjective)} & {
        field.name for field in dataclasses.fields(ObjectiveConfig)
    }
    return ResolvedObjective(
        **{name: getattr(full, name) for name in same},
        kl_estimators=tuple(dict.fromkeys(estimators)),  # type: ignore[arg-type]
        kl_in_reward=full.kl_in == "reward",
        use_entropy=any(entropies),
    )


def _check(full: ObjectiveConfig, domains: Mapping[str, Domain]) -> None:
    for place, own in [("objective", full), *((f"domains.{name}", domain) for name, domain in domains.items())]:
        if own.clip_low is not None and not 0 <= own.clip_low <= 1:
            raise ConfigError(f"{place}.clip_low={own.clip_low} must be in [0, 1]; ratios are never below 0")
        if own.clip_high is not None and own.clip_high < 0:
            raise ConfigError(f"{place}.clip_high={own.clip_high} must be at least 0")
        if own.kl_coefficient is not None and own.kl_coefficient < 0:
            raise ConfigError(f"{place}.kl_coefficient={own.kl_coefficient} must be at least 0; 0 is off")
    for name, domain in domains.items():
        if domain.loss_weight < 0:
            raise ConfigError(f"domains.{name}.loss_weight={domain.loss_weight} must be at least 0; 0 is off")
        if full.kl_in == "reward" and domain.kl_estimator in ("k3_corrected", "k3_k2"):
            raise ConfigError(f"domains.{name}.kl_estimator={domain.kl_estimator} has a meaning in the loss alone")
    if full.dual_clip is not None and full.clip_high is not None and full.dual_clip <= 1 + full.clip_high:
        raise ConfigError(f"objective.dual_clip={full.dual_clip} must exceed 1 + clip_high={1 + full.clip_high}")
    if full.kl_in == "reward" and full.kl_estimator in ("k3_corrected", "k3_k2"):
        raise ConfigError(f"objective.kl_estimator={full.kl_estimator} has a meaning in the loss alone; use k1, k2, k3")
    if not 0 <= full.correction_min <= full.correction_max:
        raise ConfigError(
            f"objective.correction_min={full.correction_min} and correction_max={full.correction_max} must be a band"
        )
    for field in ("kl_target", "kl_max", "kl_max_difference"):
        if getattr(full, field) is not None and getattr(full, field) <= 0:
            raise ConfigError(f"objective.{field}={getattr(full, field)} must be above 0; leave it out for none")
    if full.overlong_buffer_tokens < 0:
        raise ConfigError(f"objective.overlong_buffer_tokens={full.overlong_buffer_tokens} must be at least 0")
    for field in ("kl_horizon", "max_extra_rounds"):
        if getattr(full, field) < 1:
            raise ConfigError(f"objective.{field}={getattr(full, field)} must be at least 1")
