# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a destination of metrics must offer, and all destinations of a run behind one call.

Another destination is one file: a subclass of `Tracker`, named by its dotted path in `logging.trackers`.
"""

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from grpo_jax.logging_config import LoggingConfig
from grpo_jax.records import ConfigError
from grpo_jax.tracking.run_folder import RunFolder


@dataclass(frozen=True)
class StepRecord:
    """What a step has to tell.

    Attributes:
        step: Number of the finished step; 0 is the evaluation before training.
        metrics: Figures by name.
        histograms: Values by name, as `rewards/math`; empty at most steps.
        texts: Markdown by name, as `samples/math`; empty at most steps.
    """

    step: int
    metrics: Mapping[str, float]
    histograms: Mapping[str, Float[np.ndarray, " values"]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class Tracker:
    """A destination of a run's records. Nothing may be written before the first `write`."""

    def __init__(self, folder: RunFolder, settings: LoggingConfig, config: Mapping[str, Any]) -> None:
        """Note where to write.

        Args:
            folder: The run's.
            settings: The run's `logging` section.
            config: The whole resolved config as JSON values, for trackers that show hyperparameters.

        Raises:
            ConfigError: What the tracker needs is absent.
        """

    def write(self, record: StepRecord) -> None:
        """Write one step durably; steps ascend."""
        raise NotImplementedError

    def truncate_after(self, step: int) -> None:
        """Forget everything after `step`, before a resumed run writes it again; -1 forgets all."""
        raise NotImplementedError

    def close(self) -> None:
        """Release files and connections; nothing is written afterwards."""
        raise NotImplementedError


class Trackers:
    """All trackers of a run as one."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def write(self, record: StepRecord) -> None:
        """Write one step everywhere.

        Raises:
            ValueError: A metric is not finite; nothing of the step is written.
        """
        plain_numbers(record.step, record.metrics)
        for tracker in self._trackers:
            tracker.write(record)

    def truncate_after(self, step: int) -> None:
        """Forget everything after `step` everywhere; -1 forgets all."""
        for tracker in self._trackers:
            tracker.truncate_after(step)

    def close(self) -> None:
        """Close all, those after one that fails too."""
        failures: list[Exception] = []
        for tracker in self._trackers:
            try:
                tracker.close()
            except Exception as error:  # noqa: BLE001  raised below, once the others are closed
                failures.append(error)
        if failures:
            raise ExceptionGroup("trackers failed to close", failures) if len(failures) > 1 else failures[0]


def open_trackers(folder: RunFolder, settings: LoggingConfig, config: Mapping[str, Any]) -> Trackers:
    """The trackers that the settings ask for; metrics.jsonl always, as the report and a resume are made from it.

    Raises:
        ConfigError: A tracker is unknown or lacks its package.
    """
    from grpo_jax.tracking.metrics import JsonlTracker

    kinds: list[type[Tracker]] = [JsonlTracker]
    if settings.enabled and settings.tensorboard:
        from grpo_jax.tracking.tensorboard import TensorBoardTracker

        kinds.append(TensorBoardTracker)
    if settings.enabled and settings.wandb.mode != "disabled":
        from grpo_jax.tracking.weights_and_biases import WandbTracker

        kinds.append(WandbTracker)
    if settings.enabled:
        kinds.extend(_tracker_named(path) for path in settings.trackers)
    return Trackers([kind(folder, settings, config) for kind in kinds])


def plain_numbers(step: int, metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics as Python numbers, whole numbers kept whole.

    Raises:
        ValueError: A value is not finite; the message names the metric and the step.
    """
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        number = value if isinstance(value, int) else float(value)
        if not math.isfinite(number):
            raise ValueError(f"metric {name} is {number} at step {step}")
        plain[name] = number
    return plain


def _tracker_named(path: str) -> type[Tracker]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name) if module else None
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"logging.trackers: {path!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Tracker)):
        raise ConfigError(f"logging.trackers: {path!r} is not a subclass of grpo_jax.tracking.tracker.Tracker")
    return found
