# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The shapes that plots are made of, and how a long series becomes few points without hiding its extremes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Columns = Mapping[str, Float[np.ndarray, " rows"]]
"""A run's metrics by name, `step` first; NaN where a row lacks one."""


@dataclass(frozen=True)
class Series:
    """One curve, or one layer of a stack.

    Attributes:
        name: For the legend.
        steps: Where its points are; the mean of the steps that a point stands for.
        values: Means over those steps.
        low: Least values over those steps; None where every point is one step.
        high: Greatest values.
        colour: Index into the page's palette.
        dash: 0 solid, 1 dashed, 2 dotted.
        strong: Drawn thicker: a total among parts.
        line: In a stack, a curve over the layers rather than a layer.
    """

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    colour: int = 0
    dash: int = 0
    strong: bool = False
    line: bool = False


@dataclass(frozen=True)
class Chart:
    """One plot.

    Attributes:
        key: Name of its PNG, unique on the page.
        section: Heading that it stands under.
        title: Its own heading.
        unit: Of its vertical axis.
        series: At least one.
        stacked: Layers on top of each other, as bars; else curves.
        top: Upper end of the axis where it is known: 1 for shares.
    """

    key: str
    section: str
    title: str
    unit: str
    series: tuple[Series, ...]
    stacked: bool = False
    top: float | None = None


@dataclass(frozen=True)
class HeatTable:
    """A table whose cells are coloured by their values.

    Attributes:
        key: Name of its PNG, unique on the page.
        title: Heading.
        note: What the cells say, and figures that sum the table up.
        columns: Names.
        rows: Names.
        values: A list a row; None is an empty cell.
        drops: Losses, which colour the cells instead of the values, in the same layout; None colours by value.
    """

    key: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    drops: tuple[tuple[float | None, ...], ...] | None = None


def columns_of(rows: Sequence[Mapping[str, float]]) -> Columns:
    """Rows, as `metrics.read_metrics` gives them, turned into columns in the order in which metrics first appear."""
    columns: dict[str, np.ndarray] = {"step": np.full(len(rows), np.nan)}
    for number, row in enumerate(rows):
        for name, value in row.items():
            if name not in columns:
                columns[name] = np.full(len(rows), np.nan)
            columns[name][number] = value
    return columns


def thinned(run: Columns, metric: str, most: int, extremes: bool = True) -> dict[str, Any]:
    """A metric's points, neighbours put together where there are more than `most`.

    Args:
        run: Has the metric.
        metric: Its name.
        most: Number of points allowed.
        extremes: Also give the least and greatest of what was put together.

    Returns:
        `steps`, `values`, `low` and `high` of a `Series`.
    """
    kept = ~np.isnan(run[metric])
    steps, values = run["step"][kept], run[metric][kept]
    if len(steps) <= most:
        return {"steps": rounded(steps), "values": rounded(values), "low": None, "high": None}
    edges = np.linspace(0, len(steps), most + 1).astype(int)
    starts, sizes = edges[:-1], np.diff(edges)
    return {
        "steps": rounded(np.add.reduceat(steps, starts) / sizes),
        "values": rounded(np.add.reduceat(values, starts) / sizes),
        "low": rounded(np.minimum.reduceat(values, starts)) if extremes else None,
        "high": rounded(np.maximum.reduceat(values, starts)) if extremes else None,
    }


def layers(run: Columns, metrics: Sequence[str], most: int) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
    """Layers of a stack over common steps: means over neighbouring rows that have any of the metrics.

    Args:
        run: Has at least one of the metrics.
        metrics: One a layer; a row that lacks one counts 0.
        most: Number of bars allowed.

    Returns:
        Steps and, for each metric, its values.
    """
    absent = np.full(len(run["step"]), np.nan)
    table = np.stack([run.get(metric, absent) for metric in metrics], axis=1)
    kept = ~np.isnan(table).all(axis=1)
    table = np.concatenate([run["step"][kept, None], np.nan_to_num(table[kept])], axis=1)
    edges = np.linspace(0, len(table), min(most, len(table)) + 1).astype(int)
    means = np.add.reduceat(table, edges[:-1], axis=0) / np.diff(edges)[:, None]
    return rounded(means[:, 0]), [rounded(means[:, column]) for column in range(1, len(metrics) + 1)]


def rounded(values: np.ndarray) -> tuple[float, ...]:
    """Five significant digits, which no screen shows more of."""
    return tuple(float(f"{value:.5g}") for value in values.tolist())
