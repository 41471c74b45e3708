# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run's files are: the layout of `OUTPUT_DIR/EXP_NAME/`, and whole-file writes that a kill cannot tear."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run.

    Attributes:
        output_dir: Folder of all runs.
        exp_name: Name of this run and of its folder.
    """

    output_dir: str | Path
    exp_name: str

    def __post_init__(self) -> None:
        if not self.exp_name or self.exp_name in (".", "..") or "/" in self.exp_name:
            raise ConfigError(f"exp_name={self.exp_name!r} must be a folder's name, without slashes")

    @property
    def path(self) -> Path:
        """The run's folder."""
        return Path(self.output_dir).expanduser() / self.exp_name

    @property
    def config_json(self) -> Path:
        """The resolved config."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a step."""
        return self.path / "metrics.jsonl"

    @property
    def prompt_lengths(self) -> Path:
        """Lengths of each domain's prompts, measured at the start."""
        return self.path / "prompt_lengths.json"

    @property
    def reasoning_tokens(self) -> Path:
        """How often each id of the reasoning vocabulary was used, where the model has one."""
        return self.path / "reasoning_tokens.csv"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard event files."""
        return self.path / "tensorboard"

    @property
    def completions(self) -> Path:
        """Folder of `step-000010.jsonl` files."""
        return self.path / "completions"

    @property
    def evaluations(self) -> Path:
        """Folder of `step-000010.parquet` files, every evaluated completion with its scores."""
        return self.path / "evaluations"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints, one folder a step."""
        return self.path / "checkpoints"

    @property
    def final_model(self) -> Path:
        """The trained weights as a Hugging Face folder."""
        return self.path / "final_model"

    @property
    def report(self) -> Path:
        """The self-contained HTML page."""
        return self.path / "report.html"

    @property
    def plots(self) -> Path:
        """Every plot of the report as a PNG."""
        return self.path / "plots"

    @property
    def profile(self) -> Path:
        """Traces of the steps that `logging.profile_steps` names."""
        return self.path / "profile"

    @property
    def nonfinite(self) -> Path:
        """What was learned from in each update whose loss or gradient was not finite."""
        return self.path / "nonfinite"

    def log(self, host: int = 0) -> Path:
        """Everything that a host said, with times: `log.txt` of the first one, `log-1.txt` and so on of others."""
        return self.path / (f"log-{host}.txt" if host else "log.txt")

    def create(self) -> None:
        """Make the folder and those below it that are written while running.

        Raises:
            ConfigError: The folder cannot be made or written.
        """
        try:
            for folder in (self.path, self.completions, self.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot create {self.path}: {error.strerror}; choose another output_dir") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise ConfigError(f"cannot write into {self.path}; choose another output_dir")

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the resolved config, as `overrides.config_as_dict` gives it."""
        write_text_atomically(self.config_json, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file's content so that a reader or a kill sees the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
