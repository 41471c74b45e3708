# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The frame of the report: one HTML document with its style, its scripts and its data, which reaches for nothing else.

Text from outside enters in two ways alone: escaped, or inside deflated base64, which a page cannot mistake for markup
and which the scripts put into text nodes. A content security policy forbids the page any connection.
"""

import base64
import html
import json
import zlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from grpo_jax.tracking.report_series import Chart, HeatTable
from grpo_jax.tracking.run_warnings import RunWarning

_POLICY = "default-src 'none'; img-src data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
_VIEWS = {
    "": "in order",
    "best": "best first",
    "worst": "worst first",
    "disagreeing": "most disagreeing first",
    "timeout": "timed out",
    "truncated": "truncated",
}
_START = """
(async () => {
  try {
    await drawCharts();
    if (byId("completions")) new Browser(await unpack("completions"));
    document.body.dataset.ready = String(Math.round(performance.now()));
  } catch (error) {
    byId("failure").textContent = `This page could not be shown (${error}); it needs a browser of 2023 or later.`;
    throw error;
  }
})();
"""


def packed_plots(charts: Sequence[Chart], heats: Sequence[HeatTable], phases: Sequence[Any]) -> bytes:
    """What the plots are drawn from, as deflated JSON.

    Args:
        charts: Plots, in order of their sections.
        heats: Coloured tables below them.
        phases: First step, last step and name of each reward phase.
    """
    drawn = [{**vars(chart), "series": [*map(vars, chart.series)]} for chart in charts]
    data = {"charts": drawn, "heats": [*map(vars, heats)], "phases": phases}
    return zlib.compress(json.dumps(data, separators=(",", ":")).encode("ascii"), 6)


def page(title: str, head: str, plots: bytes, tail: str) -> str:
    """The whole document.

    Args:
        title: Name of the run or runs, as text.
        head: HTML above the plots.
        plots: As `packed_plots` gives them.
        tail: HTML below the plots.
    """
    name = html.escape(title)
    scripts = _file("charts.js") + _file("completions.js") + _START
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} - grpo-jax report</title>
<link rel="icon" href="data:,">
<style>{_file("style.css")}</style>
</head>
<body>
<h1>{name}</h1>
<p id="failure"></p>
{head}
<p><label>smoothing <select id="smoothing"><option value="1">off</option><option value="10">10 points</option>
<option value="50">50 points</option></select></label></p>
<div id="plots"></div>
{tail}
{embedded("charts", plots)}
<script>{scripts}</script>
</body>
</html>
"""


def browser(packed: bytes, left_out: int, characters: int | None) -> str:
    """The section with the completions.

    Args:
        packed: Columns as deflated JSON.
        left_out: Completions on disk that are not among them.
        characters: Length that texts were shortened to; None where they are whole.
    """
    notes = []
    if left_out:
        notes.append(f"{left_out:,} more are in the run's completions folder.")
    if characters is not None:
        notes.append(f"Longer texts are shortened to {characters:,} characters, which a search is limited to as well.")
    views = "".join(f'<option value="{value}">{name}</option>' for value, name in _VIEWS.items())
    selects = "".join(
        f'<select id="{field}" aria-label="{field.replace("_", " ")}"></select>'
        for field in ("run", "step", "domain", "status", "finish_reason")
    )
    return f"""<section>
<h2>Completions</h2>
<div class="filters"><input id="search" type="search" placeholder="search text" aria-label="search text">
<select id="view" aria-label="order">{views}</select>{selects}</div>
<p><span id="count"></span> <span class="quiet">{" ".join(notes)}</span></p>
<div id="list"></div>
<dialog id="detail"><header><button id="previous" type="button">previous</button>
<button id="next" type="button">next</button><button id="close" type="button">close</button></header>
<div id="body"></div></dialog>
</section>
{embedded("completions", packed)}"""


def figures_table(title: str, rows: Mapping[str, tuple[float, float]]) -> str:
    """A table of means over first and last fifths."""
    lines = "".join(
        f'<tr><th scope="row">{html.escape(metric)}</th>'
        f"<td>{first:.4g}</td><td>{last:.4g}</td><td>{last - first:+.4g}</td></tr>"
        for metric, (first, last) in rows.items()
    )
    head = "<tr><th>mean over</th><th>first fifth</th><th>last fifth</th><th>change</th></tr>"
    return (
        f"<section><h2>{html.escape(title)}</h2>"
        f'<div class="scroll"><table class="figures">{head}{lines}</table></div></section>'
    )


def warnings_list(warnings: Sequence[RunWarning]) -> str:
    """What the run warned of, one item a cause with its steps and its latest words; nothing where there is nothing."""
    by_cause: dict[str, list[RunWarning]] = {}
    for warning in warnings:
        by_cause.setdefault(warning.cause, []).append(warning)
    items = "".join(
        f"<li>step {', '.join(str(one.step) for one in same)}: {html.escape(same[-1].text)}</li>"
        for same in by_cause.values()
    )
    return f'<ul class="warnings">{items}</ul>' if items else ""


def config_details(name: str, text: str) -> str:
    """A run's config, folded."""
    return f"<details><summary>Config of {html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>"


def embedded(name: str, data: bytes) -> str:
    """Bytes as an element that scripts find by its id."""
    return f'<script type="text/plain" id="{name}">{base64.b64encode(data).decode("ascii")}</script>'


def _file(name: str) -> str:
    return files("grpo_jax.tracking.page").joinpath(name).read_text(encoding="utf-8")
