# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The command `preview`: what a run would draw, as tables, as JSON Lines and as a picture."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from rich.console import Console
from rich.table import Table

from grpo_jax.config import RunConfig
from grpo_jax.curriculum_config import BUCKETS
from grpo_jax.data.preview import Preview, preview
from grpo_jax.records import ConfigError


def show_preview(config: RunConfig, steps: int | None, output: str | None, report: str | None) -> None:
    """Draw the first steps of a run, print how they are mixed, and write what was asked for.

    Args:
        config: The run; no model is loaded.
        steps: How many; None is the whole run.
        output: JSON Lines file, one object a drawn problem.
        report: Picture, .png or .html.

    Raises:
        ConfigError: A source cannot be used or a file cannot be written.
    """
    if not config.domains:
        raise ConfigError("domains is empty; a run needs at least one domain")
    with ExitStack() as stack:
        file = stack.enter_context(_create(output)) if output else None

        def each(row: dict[str, Any]) -> None:
            if file is not None:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

        found = preview(config, steps, each)
    # Where the output goes to a file, no terminal's width should cut it.
    console = Console() if Console().is_terminal else Console(width=120)
    _print(console, config, found)
    if output:
        console.print(f"drawn problems: {output}", highlight=False, soft_wrap=True)
    if report:
        from grpo_jax.tracking.preview_picture import write_picture  # matplotlib takes a second to load

        title = f"{config.exp_name}: {len(found.counts)} of {found.num_steps} steps"
        targets = found.shares / config.data.prompts_per_step
        buckets = {
            name: (name, BUCKETS, counts, found.bucket_targets[name]) for name, counts in found.bucket_counts.items()
        }
        picture = write_picture(report, title, ("domains", list(found.num_problems), found.counts, targets), buckets)
        console.print(f"picture: {picture}", highlight=False, soft_wrap=True)


def _print(console: Console, config: RunConfig, found: Preview) -> None:
    steps, places = len(found.counts), config.data.prompts_per_step
    mixing = config.data.mixing
    table = Table(
        title=f"{config.exp_name}: {steps} of {found.num_steps} steps of {places} prompts, {mixing}",
        caption="worst: how far a count is from its share, up to any step and in any batch",
    )
    columns = ("domain", "problems", "drawn", "exact share", "worst step", "in a batch", "worst batch", "passes")
    for column in columns:
        table.add_column(column, justify="left" if column == "domain" else "right", no_wrap=True)
    by_step, by_batch = found.furthest(), found.furthest_in_a_batch()
    for number, (name, size) in enumerate(found.num_problems.items()):
        counts = found.counts[:, number]
        table.add_row(
            name,
            f"{size:,}",
            f"{counts.sum():,}",
            f"{found.shares[:, number].sum():,.2f}",
            f"{by_step[number]:.3f}",
            f"{counts.min()}-{counts.max()}",
            f"{by_batch[number]:.3f}",
            f"{counts.sum() / size:.2f}",
        )
    console.print(table)
    if found.bucket_counts:
        console.print(_bucket_table(found))
    notes = [
        "No tokenizer is loaded: prompts above data.max_prompt_tokens="
        f"{config.data.max_prompt_tokens} are drawn here, while training treats them by "
        f"data.overlong_prompts={config.data.overlong_prompts}."
    ]
    adaptive = config.curriculum.adaptive
    if adaptive.buckets or adaptive.problems or adaptive.domain_weights or adaptive.rest_after:
        notes.append("curriculum.adaptive learns from solve rates, which only training has; this is the draw without.")
    if mixing == "concat":
        notes.append("data.mixing=concat shuffles all problems: exact shares are what it comes to on the whole.")
    for note in notes:
        console.print(note, highlight=False)


def _bucket_table(found: Preview) -> Table:
    table = Table(title="buckets: percent drawn (percent wanted) by span of progress")
    for column in ("domain", "problems", "progress", "drawn", *BUCKETS):
        table.add_column(column, justify="left" if column == "domain" else "right", no_wrap=True)
    for name, counts in found.bucket_counts.items():
        span_of = found.span_of_steps(name)
        start = 0.0
        for number, span in enumerate(found.spans[name]):
            inside = span_of == number
            drawn = counts[inside].sum(axis=0)
            total = max(int(drawn.sum()), 1)
            wanted = found.bucket_targets[name][inside]
            cells = [
                f"{100 * drawn[bucket] / total:.1f}"
                + (f" ({100 * wanted[:, bucket].mean():.1f})" if len(wanted) and not np.isnan(wanted).any() else "")
                for bucket in range(len(BUCKETS))
            ]
            if inside.any():
                sizes = "/".join(map(str, found.bucket_sizes[name]))
                table.add_row(name, sizes, f"{start:.0%}-{span.until:.0%}", f"{drawn.sum():,}", *cells)
            start = span.until
    return table


def _create(path: str) -> TextIO:
    output = Path(path)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return output.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output {path}: {error.strerror}") from error
