# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The terms of the loss that differ by domain, as small arrays that a compiled update reads by each row's domain.

They are inputs, not constants of the program: an adaptive KL coefficient changes them without a new compilation.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float32

from grpo_jax.config import Domain, ObjectiveConfig
from grpo_jax.objective.presets import ResolvedObjective, fill


class DomainTerms(NamedTuple):
    """One entry a domain (Q of them), in the order of `RunConfig.domains`.

    Attributes:
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        kl_coefficients: Weight of each estimator of `ResolvedObjective.kl_estimators` (E of them).
        entropy_coefficient: Weight of the entropy bonus.
    """

    clip_low: Float32[Array, " Q"]
    clip_high: Float32[Array, " Q"]
    kl_coefficients: Float32[Array, "Q E"]
    entropy_coefficient: Float32[Array, " Q"]


def domain_terms(
    config: ObjectiveConfig, objective: ResolvedObjective, domains: Mapping[str, Domain], kl_factor: float = 1.0
) -> DomainTerms:
    """Terms of each domain, its own value or the run-wide one, as NumPy arrays.

    Args:
        config: The run-wide objective.
        objective: The same, resolved.
        domains: The run's domains.
        kl_factor: What an adaptive controller multiplies every KL coefficient by.
    """
    full = fill(config)

    def of(domain: Domain, name: str) -> float:
        own = getattr(domain, name)
        return float(getattr(full, name) if own is None else own)

    coefficients = np.zeros((len(domains), len(objective.kl_estimators)), np.float32)
    for row, domain in enumerate(domains.values()):
        estimator = domain.kl_estimator or full.kl_estimator
        if (coefficient := of(domain, "kl_coefficient")) > 0:
            coefficients[row, [*objective.kl_estimators].index(estimator)] = coefficient * kl_factor  # type: ignore[arg-type]
    by_name = {
        name: np.array([of(domain, name) for domain in domains.values()], np.float32)
        for name in ("clip_low", "clip_high", "entropy_coefficient")
    }
    return DomainTerms(by_name["clip_low"], by_name["clip_high"], coefficients, by_name["entropy_coefficient"])  # type: ignore[arg-type]
