# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The checkpoints of one run: which one it goes on from, after which steps another is due, and what one holds."""

import logging
from collections.abc import Mapping

from grpo_jax.checkpoint.best_checkpoints import BestCheckpoints
from grpo_jax.config import RunConfig
from grpo_jax.models.vocabulary import TokenMap
from grpo_jax.overrides import config_as_dict
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.training.resume import open_checkpoints, restore, write_config_beside
from grpo_jax.training.save_schedule import SaveSchedule
from grpo_jax.training.state import Stateful, TrainState

logger = logging.getLogger(__name__)


class RunCheckpoints:
    """Call `restore` at the start, then `due` after every step; the same in every process of the run."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        resume: str,
        parts: Mapping[str, Stateful],
        token_map: TokenMap | None,
    ) -> None:
        """Open them; nothing is read or written yet, but "never" removes those of an earlier run.

        Args:
            config: The run.
            folder: Its folder.
            resume: As `train` takes it.
            parts: What remembers on the host, by the name in the checkpoint.
            token_map: Of a model with a reasoning vocabulary.

        Raises:
            ConfigError: Their folder cannot be created or written.
        """
        self._as_dict, self._folder, self._resume, self._token_map = config_as_dict(config), folder, resume, token_map
        self._best, self._schedule = BestCheckpoints(config.checkpoint), SaveSchedule(config.checkpoint)
        self._parts = {**parts, "best_checkpoints": self._best}
        self._manager = open_checkpoints(folder, config.checkpoint, resume, self._best)

    @property
    def enabled(self) -> bool:
        """Whether the run writes any."""
        return self._schedule.enabled

    def latest_step(self) -> int | None:
        """Number of the run's own newest complete one."""
        return self._manager.latest_step()

    def restore(self, abstract_state: TrainState) -> tuple[int, TrainState] | None:
        """Bring every part to where the run goes on from.

        Args:
            abstract_state: Shapes and shardings.

        Returns:
            Steps done and the state on the devices; None where the run starts afresh.

        Raises:
            ConfigError: As `resume.restore`.
        """
        restored = restore(self._manager, self._resume, abstract_state, self._as_dict)
        if restored is None:
            return None
        done, state, host = restored
        for name, part in self._parts.items():
            part.restore(host[name])
        self._best.keep_only(self._manager.complete_steps())
        return done, state

    def write_config_beside(self) -> None:
        """Put the run's config.json beside checkpoints that are elsewhere; one process does."""
        write_config_beside(self._manager, self._folder)

    def due(self, step: int, figures: Mapping[str, float], leaving: bool) -> bool:
        """Take in the step's evaluation, and say whether a checkpoint is due.

        Args:
            step: Steps done.
            figures: Of the evaluation after the step; empty where none was made.
            leaving: The loop is left.

        Raises:
            ConfigError: The evaluation has no figure that `checkpoint.best_by` names.
        """
        best = bool(figures) and self._best.observe(step, figures)
        if best:
            logger.info("checkpoint %d is kept for its evaluation", step)
        due = self._schedule.due(step)
        return self.enabled and step > 0 and (due or best or leaving)

    def save(self, step: int, state: TrainState) -> None:
        """Start a save of the state and of every part, once the one before is complete; never the same step twice.

        Raises:
            DiskError: The disk is full or cannot be written.
        """
        host = {name: part.state() for name, part in self._parts.items()}
        self._manager.save(step, state, {**host, "config": self._as_dict}, self._token_map)
        self._schedule.saved()

    def wait(self) -> None:
        """Return when no save is running.

        Raises:
            DiskError: The disk is full or cannot be written.
        """
        self._manager.wait()

    def close(self) -> None:
        """Finish the running save; the object is of no use afterwards."""
        self._manager.close()
