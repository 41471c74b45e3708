# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The report's plots as PNG files, for slides and papers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from grpo_jax.tracking.report_series import Chart, HeatTable

_COLOURS = ("#1b1f24", "#2563eb", "#c2410c", "#047857", "#9333ea", "#dc2626", "#0e7490", "#a16207", "#be185d")
_DASHES = ("-", "--", ":")
_LEGEND_ROWS = 14


def write_pictures(
    folder: Path, charts: Sequence[Chart], heats: Sequence[HeatTable], phases: Sequence[tuple[float, float, str]]
) -> list[Path]:
    """Write `KEY.png` for every plot and table.

    Args:
        folder: Made where absent.
        charts: Plots.
        heats: Coloured tables.
        phases: First step, last step and name of each reward phase, shaded in every plot.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with rc_context({"text.parse_math": False, "font.size": 9}):  # a domain's name may hold a dollar
        for chart in charts:
            written.append(_save(_draw(chart, phases), folder / f"{chart.key}.png"))
        for heat in heats:
            written.append(_save(_draw_heat(heat), folder / f"{heat.key}.png"))
    return written


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure).print_png(path)
    return path


def _draw(chart: Chart, phases: Sequence[tuple[float, float, str]]) -> Figure:
    figure = Figure(figsize=(7.6, 3.4), dpi=110)
    # Fixed margins: the layout engines draw every figure several times.
    axes = figure.add_axes((0.09, 0.14, 0.64, 0.76))
    axes.set(title=chart.title, xlabel="step", ylabel=chart.unit)
    bottom = np.zeros(len(chart.series[0].steps))
    for series in chart.series:
        colour = _COLOURS[series.colour if series.colour < 9 else 1 + (series.colour - 1) % 8]
        if chart.stacked and not series.line:
            top = bottom + np.asarray(series.values)
            if len(top) == 1:
                axes.bar(series.steps, series.values, 0.8, bottom=bottom, color=colour, label=series.name)
            else:  # one shape a layer: bars would be a shape each
                axes.fill_between(series.steps, bottom, top, step="mid", color=colour, linewidth=0, label=series.name)
            bottom = top
            continue
        if series.low is not None and series.high is not None:
            axes.fill_between(series.steps, series.low, series.high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(
            series.steps,
            series.values,
            label=series.name,
            color="black" if series.line else colour,
            linestyle=_DASHES[series.dash],
            linewidth=2.2 if series.strong else 1.2,
            marker="o" if len(series.steps) < 15 else None,
            markersize=3,
        )
    for number, (first, last, name) in enumerate(phases):
        if number % 2 == 0:
            axes.axvspan(first, last, color="black", alpha=0.06, linewidth=0)
        axes.annotate(name, (first, 1), xycoords=("data", "axes fraction"), va="top", fontsize=7)
    if chart.top is not None:
        axes.set_ylim(min(0, axes.get_ylim()[0]), max(chart.top, axes.get_ylim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    columns = 1 + len(chart.series) // _LEGEND_ROWS
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, ncols=columns, fontsize=8)
    return figure


def _draw_heat(heat: HeatTable) -> Figure:
    figure = Figure(figsize=(2.5 + 1.1 * len(heat.columns), 1.6 + 0.32 * len(heat.rows)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    shades = np.array([[np.nan if v is None else v for v in row] for row in heat.drops or heat.values], np.float64)
    top = float(np.nanmax(np.abs(shades))) if np.isfinite(shades).any() else 0.0
    axes.imshow(np.abs(shades), cmap="Reds", aspect="auto", vmin=0, vmax=2 * (top or 1.0))
    for row, values in enumerate(heat.values):
        for column, value in enumerate(values):
            if value is not None:
                axes.text(column, row, f"{value:.3f}", ha="center", va="center")
    axes.set_xticks(range(len(heat.columns)), heat.columns)
    axes.set_yticks(range(len(heat.rows)), heat.rows)
    axes.set_title(heat.title)
    return figure
