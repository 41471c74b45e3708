# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics as TensorBoard scalars, by tensorboardX."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

from grpo_jax.tracking.metrics import plain_numbers


class TensorBoardWriter:
    """Scalars under the metrics' own names; the event file is made at the first write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None
        self._purge_step: int | None = None

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write one step's scalars and flush them, so that a kill loses nothing of a finished step."""
        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder), purge_step=self._purge_step)
        for name, value in plain_numbers(step, metrics).items():
            self._writer.add_scalar(name, value, step)
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
