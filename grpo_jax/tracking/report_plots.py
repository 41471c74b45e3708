# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of a run's metrics as inline SVG that follows the page's light or dark colours.

Text and axes are drawn in one sentinel colour that becomes `currentColor`; curves keep colours that read on both.
"""

import html
import io
import re
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Rows = Sequence[Mapping[str, float]]
"""Metrics of the steps, in order; not every row has every metric."""

INK = "#010203"  # a colour that nothing else uses
COLOURS = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444", "#0ea5b7", "#ca8a04", "#ec4899")

TOTAL = re.compile(r"(?:^|: )[^/]+/mean$")

PANELS: tuple[tuple[str, str, str], ...] = (
    ("Reward", "mean reward", r"reward/mean|reward/[^/]+/mean"),
    ("Evaluation", "pass@1", r"eval/[^/]+/pass@1"),
    ("KL to the reference", "nats per token", r"kl/.+"),
    ("Entropy", "nats per token", r"objective/entropy"),
    ("Completion length", "tokens", r"length/(?:[^/]+/)?mean"),
    ("Truncated completions", "share", r"length/(?:[^/]+/)?truncated"),
    ("Gradient norm", "global norm", r"objective/grad_norm"),
    ("Sampler and trainer logprobs", "absolute difference", r"mismatch/logprob_abs_(mean|max)"),
    ("Throughput", "tokens per second", r"throughput/.+_tokens_per_second"),
)


def all_plots(runs: Mapping[str, Rows]) -> list[tuple[str, str]]:
    """Every plot that the runs have data for.

    Args:
        runs: Metrics by run name.

    Returns:
        Pairs of title and SVG element.
    """
    plots = [
        (title, svg)
        for title, unit, pattern in PANELS
        if (svg := line_plot(runs, re.compile(pattern), unit, f"{title} by step"))
    ]
    for name, rows in runs.items():
        if svg := time_plot(rows, f"Time by phase of {name}"):
            plots.append((f"Time by phase{f' of {name}' if len(runs) > 1 else ''}", svg))
    return plots


def line_plot(runs: Mapping[str, Rows], pattern: re.Pattern[str], unit: str, label: str) -> str | None:
    """Curves of all metrics whose whole name matches, or None where there are none."""
    curves: list[tuple[str, list[float], list[float]]] = []
    for run, rows in runs.items():
        names = sorted({name for row in rows for name in row if pattern.fullmatch(name)}, key=_total_first)
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            title = f"{run}: {name}" if len(runs) > 1 else name
            curves.append((title, [step for step, _ in points], [value for _, value in points]))
    if not curves:
        return None
    figure, axes = _figure(unit)
    # The first colour is for totals alone, so that a domain has the same colour with a total beside it or without.
    first = 0 if TOTAL.search(curves[0][0]) else 1
    for number, (title, steps, values) in enumerate(curves, start=first):
        total = TOTAL.search(title) is not None
        axes.plot(
            steps,
            values,
            label=title,
            color=COLOURS[number % len(COLOURS)],
            linestyle=("-", "--", ":")[number // len(COLOURS) % 3],
            linewidth=2.2 if total else 1.3,
            marker="o" if len(steps) < 12 else None,
            markersize=3,
        )
    _legend(figure)
    return _svg(figure, label)


def time_plot(rows: Rows, label: str) -> str | None:
    """Stacked bars of seconds by phase, or None where no phase was timed."""
    names = sorted({name for row in rows for name in row if re.fullmatch(r"time/.+_seconds", name)})
    parts = [name for name in names if name not in ("time/step_seconds", "time/total_seconds")]
    if not parts:
        return None
    figure, axes = _figure("seconds")
    groups = _binned(rows, parts, most=60)
    heights = [0.0] * len(groups)
    for number, name in enumerate(parts):
        values = [group.get(name, 0.0) for group in groups]
        axes.bar(
            [group["step"] for group in groups],
            values,
            width=0.85 * (groups[1]["step"] - groups[0]["step"] if len(groups) > 1 else 1),
            bottom=heights,
            label=name.removeprefix("time/").removesuffix("_seconds"),
            color=COLOURS[number % len(COLOURS)],
        )
        heights = [height + value for height, value in zip(heights, values, strict=True)]
    _legend(figure)
    return _svg(figure, label)


def _binned(rows: Rows, names: Sequence[str], most: int) -> list[dict[str, float]]:
    """Means over runs of neighbouring rows, so that at most `most` bars remain."""
    size = -(-len(rows) // most)
    bins = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [{name: sum(row.get(name, 0.0) for row in part) / len(part) for name in (*names, "step")} for part in bins]


def _total_first(name: str) -> tuple[bool, str]:
    return TOTAL.search(name) is None, name


def _figure(unit: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel(unit, color=INK)
    axes.tick_params(colors=INK)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=INK, alpha=0.15, linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    return figure, axes


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside upper left", labelcolor=INK, frameon=False, fontsize=8, ncols=3)


def _svg(figure: Figure, label: str) -> str:
    """The figure as an SVG element that scales with the page and names itself to screen readers."""
    buffer = io.StringIO()
    # Text stays text (small and searchable); ids are salted by the label, as one page holds many figures.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": label, "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(
        r'<g id="[^"]*"', "<g", text
    )  # names of groups repeat from figure to figure and nothing refers to them
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)
