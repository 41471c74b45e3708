# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which plots a report has: what is drawn from which metrics. Metrics that are absent are absent plots."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from grpo_jax.tracking.report_series import Chart, Columns, HeatTable, Series, layers, rounded, thinned

POINTS = 300
BARS = 80
_ALL = "all"


@dataclass(frozen=True)
class _Lines:
    """A plot of curves: the pattern's group, where it has one, names the curve and gives its colour."""

    section: str
    title: str
    unit: str
    pattern: str
    total: str | None = None
    top: float | None = None


_LINES = (
    _Lines("Learning", "Reward", "mean reward", r"reward/([^/]+)/mean", "reward/mean"),
    _Lines("Learning", "Evaluation", "pass@1", r"eval/([^/]+)/pass@1", top=1.0),
    _Lines("Learning", "Forgetting", "drop since the best pass@1", r"forgetting/([^/]+)"),
    _Lines("Policy", "KL to the reference", "nats per token", r"kl/([^/]+)", "kl/mean"),
    _Lines("Policy", "Entropy", "nats per token", r"entropy/([^/]+)", "objective/entropy"),
    _Lines("Policy", "Completion length", "tokens", r"length/([^/]+)/mean", "length/mean"),
    _Lines("Policy", "Truncated completions", "share", r"length/([^/]+)/truncated", top=1.0),
    _Lines("Curriculum", "Solve rate", "share", r"curriculum/([^/]+)/solve_rate", top=1.0),
    _Lines("Update", "Loss", "objective", r"objective/(loss)"),
    _Lines("Update", "Gradient norm", "global norm", r"objective/(grad_norm)"),
    _Lines("Update", "Learning rate", "per update", r"objective/(learning_rate)"),
    _Lines("Update", "Clipped tokens", "share", r"objective/clip_fraction_(low|high)"),
    _Lines("Update", "Groups without variance", "share of groups", r"objective/(zero_variance_groups)", top=1.0),
    _Lines("Update", "Sampler and trainer logprobs", "difference in nats", r"mismatch/logprob_abs_(mean|max)"),
    _Lines("Speed", "Throughput", "tokens per second", r"throughput/(.+)_tokens_per_second"),
    _Lines("Speed", "Model FLOPs utilisation", "share of peak", r"throughput/(mfu)"),
    _Lines("Speed", "Memory", "peak bytes", r"memory/(.+)_bytes"),
)
_SECTIONS = ("Learning", "Curriculum", "Rewards", "Policy", "Update", "Speed")


def all_charts(runs: Mapping[str, Columns]) -> list[Chart]:
    """Every plot that the runs have data for, in the page's order.

    Args:
        runs: Metrics by run name, at least one run.
    """
    domains = domains_of(runs)
    charts = [chart for chart in (_mix_chart(runs, domains),) if chart]
    charts += [chart for lines in _LINES if (chart := _line_chart(runs, lines, domains))]
    for domain in domains:
        charts += [chart for chart in (_part_chart(runs, domain), *_bucket_charts(runs, domain)) if chart]
        charts += _status_charts(runs, domain)
    charts += _time_charts(runs)
    keys = Counter[str]()
    unique = []
    for chart in sorted(charts, key=lambda chart: _SECTIONS.index(chart.section)):
        keys[chart.key] += 1
        unique.append(chart if keys[chart.key] == 1 else replace(chart, key=f"{chart.key}-{keys[chart.key]}"))
    return unique


def domains_of(runs: Mapping[str, Columns]) -> list[str]:
    """Domains that any metric names, sorted, so that a domain has one colour in every plot."""
    pattern = re.compile(r"(?:reward|length|eval)/([^/]+)/(?:mean|pass@1)|domain_mix_target/([^/]+)")
    return sorted({match[1] or match[2] for name in _names(runs) if (match := pattern.fullmatch(name))})


def phase_spans(rows: Columns, names: Sequence[str]) -> list[tuple[float, float, str]]:
    """Reward phases as first step, last step and name.

    Args:
        rows: One run.
        names: Of the phases; one that has none is called by its number.
    """
    spans: list[tuple[float, float, str]] = []
    phases = rows.get("curriculum/phase", np.array([]))
    for step, phase in zip(rows["step"].tolist(), phases.tolist(), strict=False):
        if math.isnan(phase):
            continue
        number = int(phase)
        name = (names[number] if number < len(names) else "") or f"phase {number}"
        if spans and spans[-1][2] == name:
            spans[-1] = (spans[-1][0], step, name)
        else:
            spans.append((step, step, name))
    return spans


def evaluation_table(run: str, rows: Columns) -> HeatTable | None:
    """pass@1 of every domain at every evaluation, coloured by the drop since the domain's best; None without two."""
    names = sorted(name for name in rows if re.fullmatch(r"eval/[^/]+/pass@1", name))
    if not names:
        return None
    table = np.stack([rows[name] for name in names], axis=1)
    evaluated = ~np.isnan(table).all(axis=1)
    table = table[evaluated]
    if len(table) < 2:
        return None
    drops = np.fmax.accumulate(table, axis=0) - table
    return HeatTable(
        key=f"forgetting-{slug(run)}",
        title=f"Forgetting of {run}",
        note="pass@1 at each evaluation; the darker a cell, the further below the domain's best so far",
        columns=tuple(name.split("/")[1] for name in names),
        rows=tuple(f"step {step:.0f}" for step in rows["step"][evaluated]),
        values=_cells(table),
        drops=_cells(drops),
    )


def _cells(table: Float[np.ndarray, "rows columns"]) -> tuple[tuple[float | None, ...], ...]:
    """Values with None for NaN."""
    return tuple(tuple(None if math.isnan(value) else value for value in row) for row in table.tolist())


def _line_chart(runs: Mapping[str, Columns], lines: _Lines, domains: Sequence[str]) -> Chart | None:
    pattern, series = re.compile(lines.pattern), []
    for number, (run, rows) in enumerate(runs.items()):
        labels = {name: match[1] for name in _names({run: rows}) if (match := pattern.fullmatch(name))}
        labels = {name: label for name, label in labels.items() if label != "mean" or name != lines.total}
        ordered = sorted(labels, key=lambda name: labels[name])
        if lines.total and lines.total in rows:
            ordered.insert(0, lines.total)
        for place, name in enumerate(ordered):
            total = name == lines.total
            label = _ALL if total else labels[name].replace("_", " ") if labels[name] not in domains else labels[name]
            colour = 0 if total else domains.index(label) + 1 if label in domains else place + 1
            series.append(
                Series(
                    f"{run}: {label}" if len(runs) > 1 else label,
                    **_points(rows, name, max(80, POINTS // len(runs))),
                    colour=colour,
                    dash=number % 3,
                    strong=total,
                )
            )
    return (
        Chart(slug(lines.title), lines.section, lines.title, lines.unit, tuple(series), top=lines.top)
        if series
        else None
    )


def _points(rows: Columns, name: str, most: int) -> dict[str, Any]:
    """A curve's points; where every one is a step that has a confidence interval, with it in place of the extremes."""
    points = thinned(rows, name, most)
    low, high = f"{name}_low", f"{name}_high"
    kept = ~np.isnan(rows[name])
    if (
        points["low"] is None
        and low in rows
        and high in rows
        and not np.isnan(rows[low][kept] + rows[high][kept]).any()
    ):
        points |= {"low": rounded(rows[low][kept]), "high": rounded(rows[high][kept])}
    return points


def _part_chart(runs: Mapping[str, Columns], domain: str) -> Chart | None:
    """Parts of a domain's reward; None where there is but one, which is the reward."""
    prefix = f"reward/{domain}/"
    parts = sorted(name for name in _names(runs) if name.startswith(prefix) and name != f"{prefix}mean")
    if len(parts) < 2:
        return None
    series = [
        Series(
            f"{run}: {part.removeprefix(prefix)}" if len(runs) > 1 else part.removeprefix(prefix),
            **thinned(rows, part, max(80, POINTS // len(runs))),
            colour=number + 1,
            dash=place % 3,
        )
        for place, (run, rows) in enumerate(runs.items())
        for number, part in enumerate(parts)
        if part in rows
    ]
    title = f"Reward parts of {domain}"
    return Chart(slug(title), "Rewards", title, "mean value", tuple(series))


def _mix_chart(runs: Mapping[str, Columns], domains: Sequence[str]) -> Chart | None:
    """Share of each domain among the prompts, as drawn and as wanted."""
    series = []
    for run, rows in runs.items():
        for domain in domains:
            for kind, dash in (("actual", 0), ("target", 1)):
                metric = f"domain_mix_{kind}/{domain}"
                if metric in rows:
                    label = f"{domain} {kind}"
                    points = thinned(rows, metric, POINTS // 2, extremes=False)
                    name = f"{run}: {label}" if len(runs) > 1 else label
                    series.append(Series(name, **points, colour=domains.index(domain) + 1, dash=dash))
    if not series:
        return None
    return Chart("domain-mix", "Curriculum", "Domain mix", "share of prompts", tuple(series), top=1.0)


def _bucket_charts(runs: Mapping[str, Columns], domain: str) -> Iterator[Chart]:
    """Difficulty of a domain's prompts over time; the targets as dashed borders of the layers."""
    pattern = re.compile(rf"curriculum/{re.escape(domain)}/(.+)_target")
    for run, rows in runs.items():
        buckets = [match[1] for name in _names({run: rows}) if (match := pattern.fullmatch(name))]
        if not buckets:
            continue
        prefix = f"curriculum/{domain}/"
        steps, drawn = layers(rows, [prefix + bucket for bucket in buckets], BARS)
        wanted_at, wanted = layers(rows, [f"{prefix}{bucket}_target" for bucket in buckets], BARS)
        series = [
            Series(bucket, steps, own, colour=number + 1)
            for number, (bucket, own) in enumerate(zip(buckets, drawn, strict=True))
        ]
        for number in range(len(buckets) - 1):
            border = tuple(sum(values[: number + 1]) for values in zip(*wanted, strict=True))
            series.append(Series(f"{buckets[number]} target", wanted_at, border, dash=1, line=True))
        title = _of_run(f"Difficulty of {domain}", run, runs)
        yield Chart(slug(title), "Curriculum", title, "share of prompts", tuple(series), stacked=True, top=1.0)


def _status_charts(runs: Mapping[str, Columns], domain: str) -> Iterator[Chart]:
    """What became of a domain's completions."""
    prefix = f"reward_status/{domain}/"
    for run, rows in runs.items():
        names = [name for name in _names({run: rows}) if name.startswith(prefix)]
        if not names:
            continue
        steps, shares = layers(rows, names, BARS)
        series = tuple(
            Series(name.removeprefix(prefix), steps, values, colour=number + 1)
            for number, (name, values) in enumerate(zip(names, shares, strict=True))
            if any(values)
        )
        title = _of_run(f"Reward statuses of {domain}", run, runs)
        yield Chart(slug(title), "Rewards", title, "share of completions", series, stacked=True, top=1.0)


def _time_charts(runs: Mapping[str, Columns]) -> Iterator[Chart]:
    """Where the wall time of a step goes; what no phase accounts for is `other`. Evaluations are beside the step."""
    for run, rows in runs.items():
        names = [name for name in _names({run: rows}) if re.fullmatch(r"time/.+_seconds", name)]
        # Compiling happens within the other phases.
        phases = sorted(name for name in names if name not in ("time/step_seconds", "time/compile_seconds"))
        if not phases:
            continue
        within = [name for name in phases if name != "time/evaluation_seconds"]
        whole = rows.get("time/step_seconds", np.zeros(len(rows["step"])))
        other = np.maximum(whole - sum(np.nan_to_num(rows[name]) for name in within), 0)
        steps, seconds = layers({**rows, "other": other}, [*phases, "other"], BARS)
        labels = [name.removeprefix("time/").removesuffix("_seconds").replace("_", " ") for name in phases]
        series = tuple(
            Series(label, steps, values, colour=number + 1)
            for number, (label, values) in enumerate(zip([*labels, "other"], seconds, strict=True))
            if any(values)
        )
        if series:
            title = _of_run("Time by phase", run, runs)
            yield Chart(slug(title), "Speed", title, "seconds a step", series, stacked=True)


def _names(runs: Mapping[str, Columns]) -> list[str]:
    """Names of all metrics, in the order in which they first appear."""
    return list(dict.fromkeys(name for rows in runs.values() for name in rows))


def _of_run(title: str, run: str, runs: Mapping[str, Columns]) -> str:
    return f"{title} ({run})" if len(runs) > 1 else title


def slug(text: str) -> str:
    """A file's name: lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "plot"
