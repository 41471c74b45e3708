# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How a run looks while it goes: a live bar on a terminal, one plain line a step elsewhere, a table at the end."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

SAMPLED = "throughput/sampled_tokens_per_second"


class Progress:
    """A context manager that shows each finished step.

    Args:
        total_steps: Number of the run's last step.
        first_step: Number of the first step that this session will finish; above 1 after a resume.
        every_steps: Steps between plain lines; the first and last are always shown.
        console: Where to draw; default standard output.
    """

    def __init__(self, total_steps: int, first_step: int, every_steps: int, console: Console | None = None) -> None:
        self._total_steps = total_steps
        self._first_step = first_step
        self._every_steps = every_steps
        self._console = console or Console(highlight=False)
        self._started = time.monotonic()
        self._bar: RichProgress | None = None
        if self._console.is_terminal:
            self._bar = RichProgress(
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[figures]}"),
                console=self._console,
            )
            self._task = self._bar.add_task("train", total=total_steps, completed=first_step - 1, figures="starting")

    def __enter__(self) -> "Progress":
        self._started = time.monotonic()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Show that `step` is finished, with its reward, KL, speed and the time left."""
        figures = self._figures(step, metrics)
        if self._bar is not None:
            self._bar.update(self._task, completed=step, figures=figures)
        elif step % self._every_steps == 0 or step in (self._first_step, self._total_steps):
            self._print(f"step {step}/{self._total_steps}  {figures}")

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
        self._console.file.flush()

    def _figures(self, step: int, metrics: Mapping[str, float]) -> str:
        done = step - self._first_step + 1
        remaining = self._total_steps - step
        words = []
        if "reward/mean" in metrics:
            words.append(f"reward {metrics['reward/mean']:.3f}")
        if "kl/mean" in metrics:
            words.append(f"kl {metrics['kl/mean']:.4f}")
        if SAMPLED in metrics:
            words.append(f"{metrics[SAMPLED]:,.0f} tokens/s")
        if done > 0:
            words.append(f"{format_seconds((time.monotonic() - self._started) / done * remaining)} left")
        return "  ".join(words)


def format_seconds(seconds: float) -> str:
    """A duration as 42s, 3m05s or 2h07m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


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
