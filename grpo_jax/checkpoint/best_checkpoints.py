# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which checkpoints are kept for the evaluation at their step, however many newer ones there are."""

from collections.abc import Collection, Mapping
from typing import Any

from grpo_jax.config import CheckpointConfig
from grpo_jax.records import ConfigError


class BestCheckpoints:
    """The best evaluations of a run so far; part of the checkpoint."""

    def __init__(self, settings: CheckpointConfig) -> None:
        self._count, self._by = settings.keep_best, settings.best_by
        self._scores: dict[int, float] = {}

    @property
    def steps(self) -> frozenset[int]:
        """Steps whose checkpoints are kept."""
        return frozenset(self._scores)

    def observe(self, step: int, figures: Mapping[str, float]) -> bool:
        """Take in an evaluation.

        Args:
            step: At which it was made.
            figures: Metrics with `eval/{domain}/{figure}` among them.

        Returns:
            Whether it is among the best; of equal ones the earlier counts as the better.

        Raises:
            ConfigError: The evaluation has no such figure.
        """
        if not self._count:
            return False
        scores = {**self._scores, step: self._score(figures)}
        best = sorted(scores, key=lambda at: (-scores[at], at))[: self._count]
        self._scores = {at: scores[at] for at in best}
        return step in self._scores

    def state(self) -> dict[str, Any]:
        """For a checkpoint; JSON values."""
        return {"scores": [[step, score] for step, score in self._scores.items()]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` told."""
        self._scores = {int(step): float(score) for step, score in state["scores"]}

    def keep_only(self, steps: Collection[int]) -> None:
        """Forget evaluations whose checkpoints are gone: damaged since, or of the run that this one goes on from."""
        self._scores = {step: score for step, score in self._scores.items() if step in steps}

    def _score(self, figures: Mapping[str, float]) -> float:
        if "/" in self._by:
            found = [figures[self._by]] if self._by in figures else []
        else:
            found = [figures[name] for name in figures if name.startswith("eval/") and name.endswith(f"/{self._by}")]
        if not found:
            known = ", ".join(sorted({name.rsplit("/", 1)[1] for name in figures if name.startswith("eval/")}))
            raise ConfigError(f"checkpoint.best_by={self._by} is no figure of the evaluation; it has {known}")
        return sum(found) / len(found)
