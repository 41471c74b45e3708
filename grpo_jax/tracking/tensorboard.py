# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Records as TensorBoard scalars, histograms, texts and hyperparameters, by tensorboardX."""

import shutil
import time
from collections.abc import Mapping
from typing import Any

from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from grpo_jax.logging_config import LoggingConfig
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.tracking.tracker import StepRecord, Tracker, plain_numbers

OUTCOME = "reward/mean"
"""The metric that TensorBoard's HPARAMS table shows beside the hyperparameters."""


class TensorBoardTracker(Tracker):
    """Everything under the records' own names; the event file is made at the first write."""

    def __init__(self, folder: RunFolder, settings: LoggingConfig, config: Mapping[str, Any]) -> None:
        self._folder = folder.tensorboard
        self._settings = flat(config)
        self._writer: SummaryWriter | None = None
        self._purge_step: int | None = None

    def write(self, record: StepRecord) -> None:
        """Write one step and flush it, so that a kill loses nothing of a finished step."""
        if self._writer is None:
            self._writer = self._open()
        for name, value in plain_numbers(record.step, record.metrics).items():
            self._writer.add_scalar(name, value, record.step)
        for name, values in record.histograms.items():
            self._writer.add_histogram(name, values, record.step)
        for name, text in record.texts.items():
            self._writer.add_text(name, text, record.step)
        self._writer.flush()

    def truncate_after(self, step: int) -> None:
        """Have TensorBoard hide what earlier event files hold after `step`; -1 deletes them."""
        self.close()
        if step < 0 and self._folder.exists():
            shutil.rmtree(self._folder)
        self._purge_step = step + 1 if step >= 0 else None

    def close(self) -> None:
        """Close the event file; a later `write` starts another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> SummaryWriter:
        first = not any(self._folder.glob("events.*"))
        # The library names files by the second; two within one would be the same file, the first one lost.
        suffix = f".{time.time_ns()}"
        writer = SummaryWriter(str(self._folder), purge_step=self._purge_step, filename_suffix=suffix)
        if first and writer.file_writer is not None:
            # Not add_hparams: that makes a folder of its own, which TensorBoard shows as another run.
            for summary in hparams(self._settings, {OUTCOME: 0.0}):
                writer.file_writer.add_summary(summary)
        return writer


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Nested settings under dotted names, what is no number as text.

    Args:
        config: JSON values by name.
        prefix: Of the dotted names, its dot included.
    """
    found: dict[str, bool | int | float | str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value if isinstance(value, bool | int | float | str) else str(value)
    return found
