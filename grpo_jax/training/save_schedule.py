# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""After which steps a checkpoint is due, by count and by the clock; the same answer in every process."""

import time

from grpo_jax.config import CheckpointConfig
from grpo_jax.parallel.processes import exchange


class SaveSchedule:
    """Ask `due` after every step, in every process; call `saved` with every checkpoint."""

    def __init__(self, settings: CheckpointConfig) -> None:
        self._steps, self._seconds = settings.every_steps, 60 * settings.every_minutes
        self.enabled = bool(settings.every_steps or settings.every_minutes or settings.keep_best)
        """Whether the run has checkpoints at all."""
        self.saved()

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due after a step; by the clock of process 0, which all of them are told."""
        by_count = bool(self._steps) and step % self._steps == 0
        if not self._seconds:
            return by_count
        # Not the time of day, which can be set back.
        late: bool = exchange(time.monotonic() - self._last >= self._seconds)[0]
        return by_count or late

    def saved(self) -> None:
        """Count the minutes anew."""
        self._last = time.monotonic()
