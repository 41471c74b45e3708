# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How a run looks while it goes: a live panel on a terminal, plain lines elsewhere."""

import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

SAMPLED = "throughput/sampled_tokens_per_second"
_RECENT_STEPS = 20
_WARNINGS_SHOWN = 3


@dataclass(frozen=True)
class Outline:
    """What is known of a run before its first step.

    Attributes:
        name: Of the run.
        total_steps: Number of the run's last step.
        first_step: Number of the first step that this start will finish; above 1 after a resume.
        every_steps: Steps between plain lines; the first and last are always shown. 0 shows neither lines nor panel.
        checkpoint_steps: Steps between checkpoints; 0 is none.
        phases: Names of the reward phases.
    """

    name: str
    total_steps: int
    first_step: int = 1
    every_steps: int = 1
    checkpoint_steps: int = 0
    phases: Sequence[str] = ()


class Progress:
    """A context manager that shows what the run is doing and each finished step.

    Args:
        outline: The run.
        workers: Gives the reward workers' state now, as `RewardPool.statistics`; asked twice a second by a live panel.
        console: Where to draw; default standard output.
    """

    def __init__(
        self, outline: Outline, workers: Callable[[], Mapping[str, float]] | None = None, console: Console | None = None
    ) -> None:
        self._outline, self._workers = outline, workers
        self._console = console or Console(highlight=False)
        self._stage, self._stage_began = "starting", time.monotonic()
        self._done = outline.first_step - 1
        self._metrics: Mapping[str, float] = {}
        self._first: dict[str, float] = {}  # the first value of each domain's reward, which changes are against
        self._finished_at: deque[float] = deque(maxlen=_RECENT_STEPS + 1)
        self._warnings: deque[str] = deque(maxlen=_WARNINGS_SHOWN)
        self._live: Live | None = None
        if self._console.is_terminal and outline.every_steps:
            self._live = Live(get_renderable=self._panel, console=self._console, refresh_per_second=2)

    def __enter__(self) -> "Progress":
        self._finished_at.append(time.monotonic())
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stage("failed" if kind else "finished" if self._done >= self._outline.total_steps else "stopped")
        if self._live is not None:
            self._live.stop()

    def stage(self, name: str) -> None:
        """Show what the run is busy with: sampling, learning, evaluating, saving."""
        self._stage, self._stage_began = name, time.monotonic()

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Show that `step` is finished, with its rewards, KL, speed and the time left."""
        self._finished_at.append(time.monotonic())
        self._done, self._metrics = step, dict(metrics)
        for name in metrics:
            if name.startswith("reward/"):
                self._first.setdefault(name, metrics[name])
        every, outline = self._outline.every_steps, self._outline
        if self._live is not None:
            self._live.refresh()
        elif every and (step % every == 0 or step in (outline.first_step, outline.total_steps)):
            self._print(f"step {step}/{outline.total_steps}  {'  '.join(self._figures())}")

    def note(self, text: str) -> None:
        """Print a line, above the panel where there is one."""
        if self._outline.every_steps:
            self._print(text)

    def warn(self, text: str) -> None:
        """Keep a warning in sight; the log prints it."""
        self._warnings.append(text)

    def seconds_left(self) -> float | None:
        """Time to the end of the run at the speed of the last steps; None before the first."""
        per_step = self._seconds_per_step()
        return None if per_step is None else per_step * (self._outline.total_steps - self._done)

    def _seconds_per_step(self) -> float | None:
        if len(self._finished_at) < 2:
            return None
        return (self._finished_at[-1] - self._finished_at[0]) / (len(self._finished_at) - 1)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
        self._console.file.flush()

    def _figures(self) -> list[str]:
        metrics, words = self._metrics, []
        if "reward/mean" in metrics:
            words.append(f"reward {metrics['reward/mean']:.3f}")
        if "kl/mean" in metrics:
            words.append(f"kl {metrics['kl/mean']:.4f}")
        if SAMPLED in metrics:
            words.append(f"{metrics[SAMPLED]:,.0f} tokens/s")
        left = self.seconds_left()
        if left is not None:
            words.append(f"{format_seconds(left)} left")
        return words

    def _panel(self) -> RenderableType:
        outline = self._outline
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(no_wrap=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        shown = f"{self._stage} {format_seconds(time.monotonic() - self._stage_began)}"
        bar.add_row(f"step {self._done}/{outline.total_steps}", ProgressBar(outline.total_steps, self._done), shown)
        parts: list[RenderableType] = [bar]
        if words := self._figures():
            parts.append(Text("   ".join(words)))
        parts.append(Text("   ".join(self._circumstances())))
        if rows := self._domain_rows():
            parts.append(rows)
        parts.extend(Text(f"! {text}", style="yellow") for text in self._warnings)
        return Panel(Group(*parts), title=Text(outline.name), title_align="left")

    def _circumstances(self) -> list[str]:
        """Reward phase, workers and the next checkpoint."""
        words, outline = [], self._outline
        if outline.phases:
            number = int(self._metrics.get("curriculum/phase", 0))
            words.append(f"phase {outline.phases[number] or number} ({number + 1} of {len(outline.phases)})")
        if self._workers is not None:
            state = self._workers()
            alive, busy = state.get("workers_alive", 0), state.get("workers_busy", 0)
            words.append(f"workers {busy:.0f} of {alive:.0f} busy, {state.get('tasks_waiting', 0):.0f} waiting")
        if outline.checkpoint_steps:
            due = min((self._done // outline.checkpoint_steps + 1) * outline.checkpoint_steps, outline.total_steps)
            per_step = self._seconds_per_step()
            soon = "" if per_step is None else f", in {format_seconds(per_step * (due - self._done))}"
            words.append(f"next checkpoint at step {due}{soon}")
        return words

    def _domain_rows(self) -> Table | None:
        found = [(match[1], name) for name in self._metrics if (match := re.fullmatch(r"reward/([^/]+)/mean", name))]
        if not found:
            return None
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("domain", overflow="ellipsis")
        for column in ("reward", "change", "kl", "tokens", "truncated"):
            table.add_column(column, justify="right")
        for domain, name in sorted(found):
            cells = [f"{self._metrics[name]:.3f}", f"{self._metrics[name] - self._first[name]:+.3f}"]
            for other, form in ((f"kl/{domain}", ".4f"), (f"length/{domain}/mean", ".0f")):
                cells.append(f"{self._metrics[other]:{form}}" if other in self._metrics else "")
            truncated = self._metrics.get(f"length/{domain}/truncated")
            table.add_row(Text(domain), *cells, "" if truncated is None else f"{truncated:.0%}")
        return table


def format_seconds(seconds: float) -> str:
    """A duration as 42s, 3m05s or 2h07m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
