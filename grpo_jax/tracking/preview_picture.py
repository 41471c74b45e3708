# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One picture of a draw: the mix of domains over the steps, and of buckets within each domain that has them."""

import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from grpo_jax.records import ConfigError

_BINS = 60
_BUCKET_COLOURS = ("#10b981", "#f59e0b", "#ef4444")
_COLOURS = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444", "#0ea5b7", "#ca8a04", "#ec4899")

Panel = tuple[str, Sequence[str], np.ndarray, np.ndarray]
"""Title, names of the parts, their counts [steps, parts] and their target weights [steps, parts]."""


def write_picture(path: str, title: str, domains: Panel, buckets: Mapping[str, Panel]) -> Path:
    """Draw shares of bins of steps as areas, target weights as dashed lines.

    Args:
        path: Ends in .png or .html.
        title: Of the whole picture.
        domains: The mix of domains.
        buckets: The mix of buckets by domain.

    Raises:
        ConfigError: The path has another ending or cannot be written.
    """
    output = Path(path)
    if output.suffix not in (".png", ".html"):
        raise ConfigError(f"--report {path}: a picture's name ends in .png or .html")
    panels = [domains, *buckets.values()]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.5 * columns, 2.8 * rows + 0.5), layout="constrained")
    figure.suptitle(title)
    grid = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _draw(axes, panel, _COLOURS if panel is domains else _BUCKET_COLOURS)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.suffix == ".png":
            FigureCanvasAgg(figure).print_png(output)
        else:
            output.write_text(_page(figure, title), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--report {path}: {error.strerror}") from error
    return output


def _draw(axes: Axes, panel: Panel, colours: Sequence[str]) -> None:
    title, names, counts, targets = panel
    steps = len(counts)
    edges = np.unique(np.linspace(0, steps, min(_BINS, steps) + 1).astype(int))
    sums = np.add.reduceat(counts, edges[:-1], axis=0).astype(np.float64)
    shares = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1)
    top = np.cumsum(shares, axis=1)
    for part, name in enumerate(names):
        bottom = top[:, part] - shares[:, part]
        axes.stairs(
            top[:, part], edges, baseline=bottom, fill=True, color=colours[part % len(colours)], alpha=0.6, label=name
        )
    for line in np.cumsum(targets, axis=1).T[:-1]:
        axes.step(np.arange(steps), line, where="post", color="black", linestyle="--", linewidth=0.8)
    axes.set(title=title, xlim=(0, steps), ylim=(0, 1), xlabel="step", ylabel="share of prompts")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _page(figure: Figure, title: str) -> str:
    written = io.StringIO()
    FigureCanvasSVG(figure).print_svg(written)
    svg = written.getvalue()
    name = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f"<body><h1>{name}</h1>{svg[svg.index('<svg') :]}</body></html>\n"
    )
