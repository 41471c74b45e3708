# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The study as one picture: score of every domain by mode, and the matrix of sequential training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grpo_jax.evaluation.study import Outcome

COLOURS = matplotlib.colormaps["tab10"].colors  # pyright: ignore[reportAttributeAccessIssue]


def write_picture(path: Path, title: str, domains: Sequence[str], outcomes: Mapping[str, Outcome]) -> Path:
    """Write a PNG: bars of final scores beside those of the starting model; where stages were run, their matrix.

    Args:
        path: The file.
        title: Above the picture.
        domains: In the order of the stages.
        outcomes: By mode, at least one.
    """
    staged = outcomes.get("sequential")
    figure = Figure(figsize=(11 if staged else 6.5, 4.2), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, 2 if staged else 1, squeeze=False)[0]
    bars = {"start": next(iter(outcomes.values())).start}
    bars |= {mode: outcome.scores[-1] for mode, outcome in outcomes.items()}
    width = 0.8 / len(bars)
    for number, (name, scores) in enumerate(bars.items()):
        places = np.arange(len(domains)) + (number - (len(bars) - 1) / 2) * width
        colour = "0.7" if name == "start" else COLOURS[number - 1]
        panels[0].bar(places, scores, width, label=name.replace("_", " "), color=colour)
    panels[0].set_xticks(np.arange(len(domains)), domains)
    panels[0].set_ylabel("pass@1")
    panels[0].set_ylim(bottom=0)
    panels[0].legend(frameon=False)
    if staged:
        _draw_matrix(panels[1], domains, staged)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def _draw_matrix(panel: Axes, domains: Sequence[str], outcome: Outcome) -> None:
    values = np.vstack([outcome.start, outcome.scores])
    panel.imshow(values, vmin=0, vmax=max(1e-9, values.max()), cmap="Blues", aspect="auto")
    panel.set_xticks(np.arange(len(domains)), domains)
    panel.set_yticks(np.arange(len(values)), ["start", *(f"after {name}" for name in domains)])
    panel.set_title("pass@1 on each domain, one domain trained after another", fontsize=10)
    for (row, column), value in np.ndenumerate(values):
        dark = value > 0.6 * values.max()
        panel.text(column, row, f"{value:.3f}", ha="center", va="center", color="white" if dark else "black")
