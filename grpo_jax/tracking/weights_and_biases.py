# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Records as a Weights & Biases run, online or offline; a resumed run goes on under the same id.

W&B takes a step once and cannot forget it. Steps that a resumed run repeats are therefore left out: they are the same.
"""

import json
import secrets
import shutil
from collections.abc import Mapping
from typing import Any

from grpo_jax.logging_config import LoggingConfig
from grpo_jax.records import ConfigError
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically
from grpo_jax.tracking.tracker import StepRecord, Tracker, plain_numbers


class WandbTracker(Tracker):
    """One W&B run whose files are in the run's folder under `wandb/`."""

    def __init__(self, folder: RunFolder, settings: LoggingConfig, config: Mapping[str, Any]) -> None:
        """See `Tracker`.

        Raises:
            ConfigError: The package `wandb` is absent.
        """
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(
                f"logging.wandb.mode={settings.wandb.mode} needs the package wandb; pip install grpo-jax[wandb]"
            ) from error
        self._wandb, self._folder, self._settings, self._config = wandb, folder, settings.wandb, config
        self._memory = folder.path / "wandb" / "grpo_jax_run.json"
        self._run: Any = None
        self._id, self._last_step = self._remembered()

    def write(self, record: StepRecord) -> None:
        """Log one step, unless this run has logged it before."""
        if record.step <= self._last_step:
            return
        if self._run is None:
            self._run = self._start()
        values: dict[str, Any] = dict(plain_numbers(record.step, record.metrics))
        values |= {name: self._wandb.Histogram(found.tolist()) for name, found in record.histograms.items()}
        for name, text in record.texts.items():
            values[name] = self._wandb.Table(columns=["step", "text"], data=[[record.step, text]])
        self._run.log(values, step=record.step, commit=True)
        self._last_step = record.step
        write_text_atomically(self._memory, json.dumps({"id": self._id, "last_step": self._last_step}) + "\n")

    def truncate_after(self, step: int) -> None:
        """Begin a run with a new id where `step` is -1; otherwise the steps after it are kept and not logged again."""
        self.close()
        if step < 0:
            if self._memory.parent.exists():
                shutil.rmtree(self._memory.parent)
            self._id, self._last_step = self._remembered()

    def close(self) -> None:
        """Finish the W&B run; a later `write` goes on with it."""
        if self._run is not None:
            self._run.finish()
            self._run = None

    def _remembered(self) -> tuple[str, int]:
        if not self._memory.is_file():
            return secrets.token_hex(4), -1
        found = json.loads(self._memory.read_text(encoding="utf-8"))
        return found["id"], found["last_step"]

    def _start(self) -> Any:
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._wandb.init(
                project=self._settings.project,
                entity=self._settings.entity,
                group=self._settings.group,
                tags=list(self._settings.tags),
                name=self._folder.exp_name,
                id=self._id,
                resume="allow",
                dir=str(self._folder.path),
                mode=self._settings.mode,
                config=dict(self._config),
                settings=self._wandb.Settings(console="off"),
            )
        except (self._wandb.errors.UsageError, self._wandb.errors.CommError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(
                f"logging.wandb.mode={self._settings.mode}: {reason}; run `wandb login`, or set "
                "logging.wandb.mode=offline and send the run later with `wandb sync`"
            ) from error
