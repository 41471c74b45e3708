# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `study` command: trains the runs of the forgetting study one after another, then compares what is finished."""

import json
import logging
from dataclasses import replace
from pathlib import Path

from grpo_jax.config import RunConfig
from grpo_jax.evaluation.forgetting import matrix_as_rows
from grpo_jax.evaluation.study import (
    MODES,
    Stage,
    comparison_table,
    modes_of,
    outcome_as_dict,
    outcome_of,
    study_stages,
)
from grpo_jax.evaluation.study_picture import write_picture
from grpo_jax.records import ConfigError
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically

logger = logging.getLogger(__name__)

MODEL = "float32_model"
"""Folder below a stage's run with the weights that the next stage goes on from: the master weights, not rounded."""


def run_study(config: RunConfig, asked: str) -> Path:
    """Train what is not finished yet and write the comparison.

    Args:
        config: The run that the study is about.
        asked: A mode or `all`.

    Returns:
        The study's folder, `OUTPUT_DIR/EXP_NAME/`, with `study.md` (a table), `study.json`, `study.png`, and
        `forgetting_matrix.json` where the sequential mode is finished. Modes that an earlier start finished are in the
        comparison; a stage that was interrupted goes on from its last checkpoint.

    Raises:
        ConfigError: The config cannot be studied, or it changed since an earlier start.
    """
    plans = {mode: study_stages(config, mode) for mode in modes_of(config, asked)}
    for stages in plans.values():
        if not _train(stages):
            raise ConfigError("the study was stopped; the same command goes on from there")
    for mode in modes_of(config, "all"):
        stages = plans.get(mode) or study_stages(config, mode)
        if all(_finished(_folder(stage.config), stage.config) for stage in stages):
            plans[mode] = stages
    domains = [*config.domains]
    outcomes = {
        mode: outcome_of(domains, [read_metrics(_folder(stage.config).metrics) for stage in stages])
        for mode in MODES
        if (stages := plans.get(mode))
    }
    folder = Path(config.output_dir) / config.exp_name
    table = comparison_table(domains, outcomes)
    write_text_atomically(folder / "study.md", table)
    told = {mode: outcome_as_dict(domains, outcome) for mode, outcome in outcomes.items()}
    write_text_atomically(folder / "study.json", json.dumps(told, indent=2) + "\n")
    if "sequential" in outcomes:
        matrix = matrix_as_rows(domains, outcomes["sequential"].scores, outcomes["sequential"].start)
        write_text_atomically(folder / "forgetting_matrix.json", json.dumps(matrix, indent=2) + "\n")
    write_picture(folder / "study.png", f"{config.exp_name}, seed {config.seed}", domains, outcomes)
    print(table, end="")
    return folder


def _train(stages: list[Stage]) -> bool:
    """Train the stages that are not finished; False where a run was told to stop."""
    from grpo_jax.checkpoint.export import export_run
    from grpo_jax.training.loop import train

    before: Path | None = None
    for stage in stages:
        config = stage.config
        if stage.continues:
            model = replace(config.model, path=str(before))
            config = replace(config, model=model)
        if config.checkpoint.every_steps == 0 and len(stages) > 1:
            raise ConfigError("checkpoint.every_steps=0 leaves no weights for the next stage to go on from; raise it")
        folder = _folder(config)
        if not _finished(folder, config) and not train(config).finished:
            return False
        before = folder.path / MODEL
        if len(stages) > 1 and not (before / "config.json").is_file():
            export_run(str(folder.path), str(before), "float32")
    return True


def _folder(config: RunConfig) -> RunFolder:
    return RunFolder(config.output_dir, config.exp_name)


def _finished(folder: RunFolder, config: RunConfig) -> bool:
    """Whether the run reached its last step and wrote its model."""
    if not folder.metrics.is_file() or not folder.final_model.is_dir():
        return False
    rows = read_metrics(folder.metrics)
    return bool(rows) and rows[-1]["step"] == config.training.max_steps
