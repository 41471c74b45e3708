# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How a run went, in one table: means over its first and last fifth."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def first_and_last_fifth(rows: Sequence[Mapping[str, float]], name: str) -> tuple[float, float] | None:
    """Means of a metric over the first and the last fifth of the steps, at least one step each.

    Args:
        rows: The steps' metrics in order.
        name: The metric; rows without it do not count as steps.

    Returns:
        The two means, or None where no row has the metric.
    """
    values = [row[name] for row in rows if name in row]
    if not values:
        return None
    size = max(1, len(values) // 5)
    return sum(values[:size]) / size, sum(values[-size:]) / size


def print_summary(rows: Sequence[Mapping[str, float]], console: Console | None = None) -> None:
    """Print how rewards, KL, lengths and evaluations moved between the first and last fifth of the run.

    Args:
        rows: The run's metrics in order, as `metrics.read_metrics` gives them.
        console: Where to print; default standard output.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    domains = [name for name in names if name.startswith("reward/") and name.endswith("/mean")]
    evals = [name for name in names if name.startswith("eval/") and name.endswith("/pass@1")]
    lengths = [name for name in names if name.startswith("length/") and name.endswith("/mean")]
    table = Table(title=f"{len(rows)} steps: means over the first and last fifth")
    table.add_column("metric", overflow="fold")
    for column in ("first", "last", "change"):
        table.add_column(column, justify="right")
    for name in dict.fromkeys(["reward/mean", *domains, *evals, "kl/mean", *lengths]):
        means = first_and_last_fifth(rows, name)
        if means is not None:
            table.add_row(name, f"{means[0]:.4g}", f"{means[1]:.4g}", f"{means[1] - means[0]:+.4g}")
    (console or Console()).print(table)
