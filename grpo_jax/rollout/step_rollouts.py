# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where a step's groups come from: drawn, sampled and scored within the step, or by sampling ahead (`ahead.py`)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from grpo_jax.config import RunConfig
from grpo_jax.data.loader import ProblemLoader
from grpo_jax.parallel.processes import exchange
from grpo_jax.records import ConfigError, Prompt, RolloutGroup
from grpo_jax.rollout.collector import Collected, RolloutCollector
from grpo_jax.rollout.dynamic_sampling import refill
from grpo_jax.sampling.serving import ServingWeights

Serve = Callable[[], ServingWeights]
"""Makes the serving view of the policy."""


@dataclass(frozen=True)
class StepRollouts:
    """What a step learns from.

    Attributes:
        prompts: Drawn for the step; where sampling runs ahead, those of its groups.
        collected: Its groups.
        discarded: Groups that were sampled and are not learned from.
        rounds: Rounds of replacement.
        draw_seconds: Wall time of drawing and of the serving view.
        metrics: Mix and curriculum, and what sampling ahead has to say.
    """

    prompts: tuple[Prompt, ...]
    collected: Collected
    discarded: tuple[RolloutGroup, ...]
    rounds: int
    draw_seconds: float
    metrics: Mapping[str, float]


class StepSource(Protocol):
    """Gives each step its groups."""

    def step(self, serve: Serve, *, step: int, policy_version: int, phase: int | None) -> StepRollouts:
        """Draw, sample and score.

        Args:
            serve: Of the policy before the step's updates.
            step: From 1.
            policy_version: Of the policy.
            phase: Number of the reward phase; None has every reward on.
        """
        ...

    def meanwhile(self, under_way: Any = ()) -> None:
        """Use the time while a step is learned from.

        Args:
            under_way: Arrays that the devices of training are at work on.
        """
        ...

    def pause(self) -> None:
        """Leave the sampler's memory to somebody else until the next step."""
        ...

    def state(self) -> dict[str, Any]:
        """What is in work, as JSON values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` told, perhaps of a run that had its groups another way.

        Raises:
            ConfigError: What was in work would be lost.
        """
        ...

    def close(self) -> None:
        """Drop what is in work."""
        ...


class OnPolicy:
    """Every step samples its own prompts with the weights that it learns from them, to the last sample."""

    def __init__(self, config: RunConfig, collector: RolloutCollector, loader: ProblemLoader, dynamic_sampling: bool):
        """Keep what works together.

        Args:
            config: The run.
            collector: Samples and scores.
            loader: Draws.
            dynamic_sampling: Replace groups without a signal.
        """
        self._config, self._collector, self._loader = config, collector, loader
        self._max_rounds = config.objective.max_extra_rounds if dynamic_sampling else 0
        self._done = 0

    def step(self, serve: Serve, *, step: int, policy_version: int, phase: int | None) -> StepRollouts:
        """See `StepSource`."""
        start = time.perf_counter()
        prompts = tuple(prompt for own in exchange(next(self._loader)) for prompt in own)
        weights = serve()
        drawn = time.perf_counter()
        collect = partial(
            self._collector.collect,
            weights,
            num_samples=self._config.sampling.group_size,
            step=step,
            policy_version=policy_version,
            phase=phase,
        )
        refilled = refill(collect(prompts), self._loader.replacements, collect, self._max_rounds)
        self._done = step
        return StepRollouts(
            prompts, refilled.collected, refilled.discarded, refilled.rounds, drawn - start, self._loader.metrics()
        )

    def meanwhile(self, under_way: Any = ()) -> None:
        """Nothing can be sampled before the step's updates."""

    def pause(self) -> None:
        """Nothing holds memory between two steps."""

    def state(self) -> dict[str, Any]:
        """Nothing is in work between two steps."""
        return {"groups": [], "plans": [], "drawn_steps": self._done, "num_drawn": 0}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `StepSource`: nothing may have been in work."""
        if state["groups"]:
            raise ConfigError(
                f"the checkpoint has {len(state['groups'])} groups in flight, which a run without sampling.carry_over "
                "and rollout.max_staleness would lose; set it as it was"
            )
        self._done = state["drawn_steps"]

    def close(self) -> None:
        """Nothing is in work."""
