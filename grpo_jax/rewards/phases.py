# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which reward phase a step belongs to. Phases only go forward; where the run stands travels with its checkpoints."""

import difflib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.config import Domain, RewardPhase
from grpo_jax.records import ConfigError
from grpo_jax.rewards.router import domain_in_phase
from grpo_jax.rewards_config import phase_starts

logger = logging.getLogger(__name__)


class PhaseTracker:
    """The current phase of a run: `begin` before every step, `observe` after it."""

    def __init__(self, phases: Sequence[RewardPhase], domains: Mapping[str, Domain], total_steps: int) -> None:
        """Stand at the first phase.

        Args:
            phases: Checked, in their order; empty has no phases at all.
            domains: All of the run.
            total_steps: Steps of the whole run.
        """
        self._phases, self._total_steps = tuple(phases), total_steps
        self._starts = phase_starts(phases)
        self._domains = [
            {name: domain_in_phase(domain, phase) for name, domain in domains.items()} for phase in phases
        ] or [dict(domains)]
        self._phase, self._streak, self._seen = 0, 0, False

    @property
    def current(self) -> int | None:
        """Number of the phase, from 0; None where the run has none."""
        return self._phase if self._phases else None

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The domains with the rewards that are on now, at their weights of now."""
        return self._domains[self._phase]

    def begin(self, step: int) -> int | None:
        """The phase of a step, counted from 1: moves on as far as progress or the metric allows."""
        while self._phase + 1 < len(self._phases):
            following, start = self._phases[self._phase + 1], self._starts[self._phase + 1]
            # In whole steps: 0.07 x 100 is a little more than 7.
            due = start is not None and (step - 1) >= start * self._total_steps - 1e-6
            if not due and not (following.metric and self._streak >= following.for_steps):
                break
            why = f"after {step - 1} of {self._total_steps} steps" if due else f"{following.metric} stays high"
            self._phase, self._streak, self._seen = self._phase + 1, 0, False
            logger.info("step %d begins reward phase %s: %s", step, self._label(self._phase), why)
        return self.current

    def observe(self, step: int, metrics: Mapping[str, float]) -> None:
        """Look at the metric that the next phase waits for.

        Raises:
            ConfigError: No step has reported that metric, `for_steps` steps into the run.
        """
        if self._phase + 1 >= len(self._phases):
            return
        following = self._phases[self._phase + 1]
        if not following.metric:
            return
        value = metrics.get(following.metric)
        if value is not None:
            self._seen = True
            self._streak = self._streak + 1 if value > following.above else 0
        elif not self._seen and step >= following.for_steps:
            near = difflib.get_close_matches(following.metric, list(metrics), n=3)
            raise ConfigError(
                f"curriculum.phases[{self._phase + 1}].metric={following.metric} was reported by no step so far; "
                + (f"did you mean {', '.join(near)}?" if near else "metrics.jsonl lists those there are")
            )

    def state(self) -> dict[str, Any]:
        """Where the run stands, as JSON values."""
        return {"phase": self._phase, "streak": self._streak, "seen": self._seen}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._phase, self._streak, self._seen = state["phase"], state["streak"], state["seen"]

    def _label(self, phase: int) -> str:
        name = self._phases[phase].name
        return f"{phase} ({name})" if name else str(phase)


def phase_of_step(phases: Sequence[RewardPhase], step: int, total_steps: int | None) -> int | None:
    """The phase of a step where progress alone decides; None where there are no phases.

    Raises:
        ConfigError: A phase waits for a metric, the length of the run is not given, or the step is none of it.
    """
    if total_steps is None:
        raise ConfigError("--step needs training.max_steps, the length of the run")
    if not 1 <= step <= total_steps:
        raise ConfigError(f"--step {step} is not a step of the run; use 1 to training.max_steps={total_steps}")
    for number, phase in enumerate(phases):
        if phase.metric:
            raise ConfigError(
                f"curriculum.phases[{number}] begins by the metric {phase.metric}, so --step cannot tell the phase; "
                "leave --step out to score with every reward on"
            )
    tracker = PhaseTracker(phases, {}, total_steps)
    return tracker.begin(step)
