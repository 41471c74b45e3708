# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The page about a run: figures, plots and completions in one HTML file that needs nothing else.

It leaves out what cannot be read from the run's folder: nothing is recomputed, and absent metrics are absent plots.
"""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grpo_jax.records import ConfigError
from grpo_jax.tracking.completions import completion_files
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.tracking.report_page import page
from grpo_jax.tracking.report_plots import all_plots
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically
from grpo_jax.tracking.summary import first_and_last_fifth

MAX_COMPLETIONS = 3_000  # a page with more is slow to open on a phone

SUMMARY = ("reward/", "kl/mean", "eval/", "length/", "objective/entropy")


def write_report(run_folders: Sequence[str | Path], pictures: bool = True) -> Path:
    """Write `report.html` into the first run's folder.

    Args:
        run_folders: Folders of runs; with several, curves are drawn together and completions carry the run's name.
        pictures: Also write each plot as a PNG.

    Returns:
        The page's path.

    Raises:
        ConfigError: A folder is no run's, or holds no metrics.
    """
    folders = [_run_folder(Path(folder)) for folder in run_folders]
    names = _distinct_names(folders)
    runs = {name: read_metrics(folder.metrics) for name, folder in zip(names, folders, strict=True)}
    sections = [_summary(name, rows) for name, rows in runs.items()]
    sections.append('<section class="plots">' + "".join(map(_plot, all_plots(runs))) + "</section>")
    configs = [_config(name, folder) for name, folder in zip(names, folders, strict=True)]
    rows, left_out = _completions(dict(zip(names, folders, strict=True)))
    text = page(", ".join(names), "".join(sections), "".join(configs), rows, left_out)
    write_text_atomically(folders[0].report, text)
    return folders[0].report


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


def _summary(name: str, rows: Sequence[Mapping[str, float]]) -> str:
    """A table of first and last fifths."""
    metrics = list(dict.fromkeys(key for row in rows for key in row if key.startswith(SUMMARY)))
    lines = []
    for metric in sorted(metrics, key=lambda key: (key != "reward/mean", SUMMARY.index(_group(key)), key)):
        means = first_and_last_fifth(rows, metric)
        if means is not None:
            first, last = means
            cells = f"<td>{first:.4g}</td><td>{last:.4g}</td><td>{last - first:+.4g}</td>"
            lines.append(f'<tr><th scope="row">{html.escape(metric)}</th>{cells}</tr>')
    head = "<tr><th>mean over</th><th>first fifth</th><th>last fifth</th><th>change</th></tr>"
    title = f"<h2>{html.escape(name)}: {len(rows)} steps</h2>"
    return f'<section>{title}<div class="scroll"><table class="figures">{head}{"".join(lines)}</table></div></section>'


def _group(metric: str) -> str:
    return next(prefix for prefix in SUMMARY if metric.startswith(prefix))


def _plot(titled: tuple[str, str]) -> str:
    title, svg = titled
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{svg}</figure>"


def _config(name: str, folder: RunFolder) -> str:
    if not folder.config_json.is_file():
        return ""
    text = html.escape(folder.config_json.read_text(encoding="utf-8"))
    return f"<details><summary>Config of {html.escape(name)}</summary><pre>{text}</pre></details>"


def _completions(folders: Mapping[str, RunFolder]) -> tuple[list[dict[str, Any]], int]:
    """Completions to show and how many were left out; whole steps, the first and last kept, the rest thinned evenly."""
    files = [(name, path) for name, folder in folders.items() for path in completion_files(folder)]
    steps = [
        [
            {"run": name, **json.loads(line)} if len(folders) > 1 else json.loads(line)
            for line in path.read_text(encoding="utf-8").split("\n")
            if line
        ]
        for name, path in files
    ]
    total = sum(map(len, steps))
    if total > MAX_COMPLETIONS:
        keep = max(2, MAX_COMPLETIONS * len(steps) // total)
        chosen = sorted({round(number * (len(steps) - 1) / (keep - 1)) for number in range(keep)})
        steps = [steps[index] for index in chosen]
    rows = [row for step in steps for row in step]
    return rows, total - len(rows)
