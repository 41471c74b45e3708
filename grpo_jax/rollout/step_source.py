# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which way a run gets its groups."""

from collections.abc import Mapping

import jax

from grpo_jax.config import RunConfig
from grpo_jax.data.loader import ProblemLoader
from grpo_jax.objective.presets import ResolvedObjective
from grpo_jax.records import ConfigError
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.ahead import SamplingAhead
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.rollout.functions import BoundFunction
from grpo_jax.rollout.session import Session
from grpo_jax.rollout.step_rollouts import OnPolicy, StepSource


def open_step_source(
    config: RunConfig,
    objective: ResolvedObjective,
    session: Session,
    pool: RewardPool,
    collector: RolloutCollector,
    loader: ProblemLoader,
    functions: Mapping[str, BoundFunction],
) -> StepSource:
    """On policy, or ahead where `sampling.carry_over` or `rollout.max_staleness` asks for it.

    Raises:
        ConfigError: The run cannot sample ahead.
    """
    staleness = config.rollout.max_staleness
    if not staleness and not config.sampling.carry_over:
        return OnPolicy(config, collector, loader, objective.dynamic_sampling)
    asked = f"rollout.max_staleness={staleness}" if staleness else "sampling.carry_over=true"
    if objective.correction == "none":
        raise ConfigError(f"{asked} learns from tokens of older weights; set objective.correction=truncate or mask")
    if objective.dynamic_sampling:
        raise ConfigError(f"{asked} does not go with dynamic sampling; set objective.dynamic_sampling=false")
    if staleness and jax.process_count() > 1:
        raise ConfigError(
            f"{asked} follows the clock, on which {jax.process_count()} processes differ; set it to 0, with "
            "sampling.carry_over=true if you like"
        )
    return SamplingAhead(config, session.engine, pool, session.tokenizer, loader, loader.num_steps, functions)
