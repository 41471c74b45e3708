# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The page about runs: figures, plots and completions in one HTML file that needs nothing else, and the plots as PNGs.

It leaves out what cannot be read from the runs' folders: nothing is recomputed, and absent metrics are absent plots.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from grpo_jax.logging_config import WarningsConfig
from grpo_jax.records import ConfigError
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.tracking.report_charts import all_charts, evaluation_table, phase_spans, slug
from grpo_jax.tracking.report_completions import MAX_COMPLETIONS, packed_completions, select_completions
from grpo_jax.tracking.report_page import browser, config_details, figures_table, packed_plots, page, warnings_list
from grpo_jax.tracking.report_pictures import write_pictures
from grpo_jax.tracking.report_series import Columns, HeatTable, columns_of
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically
from grpo_jax.tracking.run_warnings import RunWarnings
from grpo_jax.tracking.summary import first_and_last_fifth

MAX_BYTES = 4_700_000
"""Size of a page; a phone opens it at once."""
DRAFT_COMPLETIONS = 1_000
"""Completions on a page that a run writes while it goes, so that it costs no time worth noticing."""
SUMMARY = (r"reward/mean", r"reward/[^/]+/mean", r"eval/[^/]+/pass@1", r"kl/mean", r"objective/entropy", r"length/mean")
"""Metrics of the table at the top, in its order."""
MATRIX = "forgetting_matrix.json"


def write_report(run_folders: Sequence[str | Path], *, draft: bool = False, output: str | Path | None = None) -> Path:
    """Write `report.html`, and `plots/*.png` beside it.

    Args:
        run_folders: Folders of runs; with several, curves are drawn together and completions carry the run's name.
        draft: Fewer completions and no PNGs, for a run that has not ended.
        output: The page's path; default that of the first run.

    Returns:
        The page's path.

    Raises:
        ConfigError: A folder is no run's or holds no metrics, or the page cannot be written.
    """
    folders = dict(zip(_distinct_names(found := [_run_folder(Path(f)) for f in run_folders]), found, strict=True))
    runs = {name: read_metrics(folder.metrics) for name, folder in folders.items()}
    configs = {name: _config(folder) for name, folder in folders.items()}
    columns = {name: columns_of(rows) for name, rows in runs.items()}
    charts = all_charts(columns)
    phases = next((spans for name in runs if (spans := _phases(columns[name], configs[name]))), [])
    heats = [
        heat
        for name, folder in folders.items()
        for heat in (evaluation_table(name, columns[name]), _matrix_table(name, folder))
        if heat is not None
    ]
    head = "".join(_head(name, rows, configs[name]) for name, rows in runs.items())
    tail = "".join(config_details(name, json.dumps(config, indent=2)) for name, config in configs.items() if config)
    plots, title = packed_plots(charts, heats, phases), ", ".join(runs)
    frame = page(title, head, plots, tail)
    shown, left_out = select_completions(folders, DRAFT_COMPLETIONS if draft else MAX_COMPLETIONS)
    if shown:
        # Three bytes are four characters of base64.
        packed, limit = packed_completions(shown, (MAX_BYTES - len(frame.encode())) * 3 // 4)
        cut = limit if any(len(row["text"]) > limit for row in shown) else None
        frame = page(title, head, plots, browser(packed, left_out, cut) + tail)
    path = Path(output) if output is not None else next(iter(folders.values())).report
    try:
        write_text_atomically(path, frame)
        if not draft:
            write_pictures(path.parent / "plots", charts, heats, phases)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    return path


def _run_folder(path: Path) -> RunFolder:
    folder = RunFolder(path.resolve().parent, path.resolve().name)
    if not path.is_dir():
        raise ConfigError(f"{path}: no such run folder")
    if not folder.metrics.is_file():
        raise ConfigError(f"{path}: holds no metrics.jsonl; name a run's folder, as in out/quickstart")
    return folder


def _distinct_names(folders: Sequence[RunFolder]) -> list[str]:
    """Run names, with the path where two are called the same."""
    names = [folder.exp_name for folder in folders]
    return [name if names.count(name) == 1 else str(folder.path) for name, folder in zip(names, folders, strict=True)]


def _config(folder: RunFolder) -> dict[str, Any]:
    """The run's config as JSON values; empty before it is written."""
    return json.loads(folder.config_json.read_text(encoding="utf-8")) if folder.config_json.is_file() else {}


def _phases(run: Columns, config: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    return phase_spans(run, [phase["name"] for phase in config.get("curriculum", {}).get("phases", ())])


def _head(name: str, rows: Sequence[Mapping[str, float]], config: Mapping[str, Any]) -> str:
    """Figures of a run and what it warned of."""
    names = dict.fromkeys(key for row in rows for key in row)
    shown = [name for pattern in SUMMARY for name in sorted(names) if re.fullmatch(pattern, name)]
    means = {name: found for name in shown if (found := first_and_last_fifth(rows, name))}
    told = config.get("logging", {}).get("warnings", {})
    settings = WarningsConfig(
        **{field.name: told[field.name] for field in fields(WarningsConfig) if field.name in told}
    )
    steps = sum(row["step"] > 0 for row in rows)
    return figures_table(f"{name}: {steps} steps", means) + warnings_list(RunWarnings(settings, rows).said)


def _matrix_table(name: str, folder: RunFolder) -> HeatTable | None:
    """The study's matrix, where the run or the folder above it has one: score on each domain after each stage.

    Raises:
        ConfigError: The file is no matrix.
    """
    path = next((at / MATRIX for at in (folder.path, folder.path.parent) if (at / MATRIX).is_file()), None)
    if path is None:
        return None
    try:
        matrix = json.loads(path.read_text(encoding="utf-8"))
        domains, scores = [str(domain) for domain in matrix["domains"]], matrix["scores"]
        values = [tuple(float(score) for score in row) for row in (matrix["start"], *scores)]
        rows = ["start", *(f"after {domain}" for domain in domains)]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no forgetting matrix ({error!r}); write it anew with `grpo-jax study`") from error
    drops = []
    for number in range(len(values)):
        best = [max(row[column] for row in values[: number + 1]) for column in range(len(domains))]
        drops.append(tuple(top - value for top, value in zip(best, values[number], strict=True)))
    told = [f"{key.replace('_', ' ')} {value:+.3f}" for key, value in matrix.items() if isinstance(value, float)]
    return HeatTable(
        key=f"forgetting-matrix-{slug(name)}",
        title=f"Forgetting matrix of {name}",
        note="; ".join(
            ["score on a column's domain after a row's stage; the darker, the further below its best", *told]
        ),
        columns=tuple(domains),
        rows=tuple(rows),
        values=tuple(values),
        drops=tuple(drops),
    )
