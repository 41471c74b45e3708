# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""All that a run says about itself, behind one object for its loop: trackers, console, warnings, report, profile."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from grpo_jax.config import RunConfig
from grpo_jax.logging_config import profiled_steps
from grpo_jax.records import RolloutGroup
from grpo_jax.tracking.completions import truncate_completions, write_completions
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.tracking.profiler import StepProfiler
from grpo_jax.tracking.progress import Outline, Progress
from grpo_jax.tracking.report import write_report
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.tracking.run_warnings import RunWarnings
from grpo_jax.tracking.step_samples import StepSamples, step_samples
from grpo_jax.tracking.tracker import StepRecord, Trackers, open_trackers

logger = logging.getLogger(__name__)


class RunLog:
    """Call `truncate_after`, then `running` around the steps; within it `write` once a step, then `finish`."""

    def __init__(
        self, folder: RunFolder, config: RunConfig, as_dict: Mapping[str, Any], host: int = 0, num_hosts: int = 1
    ) -> None:
        """Open what the config asks for; nothing is written yet.

        Args:
            folder: The run's.
            config: The run.
            as_dict: The same as JSON values.
            host: Index of this host; all but the first write their own completions and nothing else.
            num_hosts: Hosts of the run; of a step's groups this one scored every `num_hosts`-th, from `host` on.

        Raises:
            ConfigError: A tracker lacks its package.
        """
        self._folder, self._config, self._settings = folder, config, config.logging
        self._host, self._num_hosts = host, num_hosts
        self._trackers = Trackers(()) if host else open_trackers(folder, config.logging, as_dict)
        self._profiler = StepProfiler(folder.profile, profiled_steps(config.logging.profile_steps))
        self._warnings = RunWarnings(config.logging.warnings)
        self._progress = Progress(Outline(config.exp_name, total_steps=0))
        self._samples = StepSamples({}, {})
        self._total_steps = 0

    def truncate_after(self, step: int) -> None:
        """Forget everything after `step`, before a resumed run writes it again; -1 forgets all."""
        self._trackers.truncate_after(step)
        truncate_completions(self._folder, step)

    @contextmanager
    def running(self, done: int, total_steps: int, workers: Callable[[], Mapping[str, float]]) -> Iterator[None]:
        """Show the run on the console for as long as the block lasts.

        Args:
            done: Steps done before this start.
            total_steps: Of the whole run.
            workers: Gives the state of the reward workers, as `RewardPool.statistics`.
        """
        self._total_steps = total_steps
        rows = read_metrics(self._folder.metrics) if self._folder.metrics.exists() else []
        self._warnings = RunWarnings(self._settings.warnings, rows)
        outline = Outline(
            name=self._config.exp_name,
            total_steps=total_steps,
            first_step=done + 1,
            every_steps=self._settings.every_steps if self._settings.enabled else 0,
            checkpoint_steps=self._config.checkpoint.every_steps,
            phases=[phase.name for phase in self._config.curriculum.phases],
        )
        self._progress = Progress(outline, workers, Console(quiet=True) if self._host else None)
        with self._progress:
            yield

    def profiled(self, step: int) -> AbstractContextManager[None]:
        """A context manager that traces the step where `logging.profile_steps` names it."""
        return self._profiler.step(step)

    def stage(self, name: str) -> None:
        """Show what the run is busy with."""
        self._progress.stage(name)

    def note(self, text: str) -> None:
        """Print a line."""
        self._progress.note(text)

    def look(self, step: int, groups: Sequence[RolloutGroup], advantages: Sequence[Sequence[float]]) -> None:
        """Write the step's completions and keep for `write` what trackers show of them, where these are due."""
        if not self._settings.enabled:
            return
        end = step in (1, self._total_steps)
        if end or step % self._settings.completions_every_steps == 0:
            own = slice(self._host, None, self._num_hosts)
            part = self._host if self._num_hosts > 1 else None
            write_completions(self._folder, step, groups[own], advantages[own], part)
        if self._settings.samples_every_steps and (end or step % self._settings.samples_every_steps == 0):
            self._samples = step_samples(groups, advantages)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write one finished step everywhere, warn of what needs a person, renew the report where it is due."""
        samples, self._samples = self._samples, StepSamples({}, {})
        self._trackers.write(StepRecord(step, metrics, samples.histograms, samples.texts))
        if step == 0 or self._host:  # step 0 is the evaluation before training
            return
        for warning in self._warnings.observe(step, metrics):
            logger.warning("step %d: %s", step, warning.text)
            self._progress.warn(warning.text)
        self._progress.update(step, metrics)
        every = self._settings.report_every_steps
        if self._settings.enabled and every and step % every == 0 and step < self._total_steps:
            self._progress.stage("reporting")
            write_report([self._folder.path], draft=True)

    def finish(self) -> Path | None:
        """Write the report and its pictures; None where `logging.enabled` is false, or another host writes them."""
        return write_report([self._folder.path]) if self._settings.enabled and not self._host else None

    def close(self) -> None:
        """Release everything; a trace that is not whole is written as far as it came."""
        try:
            self._profiler.close()
        finally:
            self._trackers.close()
