# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The frame of the report: style, the completions browser, and embedding that no completion can break out of."""

import html
import json
from collections.abc import Sequence
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #f3f4f6; --line: #d5d9df; --accent: #2563eb; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --paper: #14171b; --soft: #1f242a; --line: #39414b; --accent: #7cadff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); }
.figures td { text-align: right; font-variant-numeric: tabular-nums; } th { text-align: left; font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .6rem; border: 1px solid var(--line); border-radius: .5rem; }
figcaption { font-weight: 600; } figure svg { width: 100%; height: auto; }
details pre { overflow-x: auto; background: var(--soft); padding: .8rem; border-radius: .5rem; }
.filters { display: flex; flex-wrap: wrap; gap: .5rem; position: sticky; top: 0; padding: .5rem 0;
  background: var(--paper); }
.filters input { flex: 1 1 12rem; } .filters input, .filters select, .filters button { font: inherit;
  padding: .3rem .5rem; color: inherit; background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; }
article { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; margin: .6rem 0; }
article header { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .85rem; }
article .status { font-weight: 700; color: var(--accent); }
article pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .4rem 0 0; font-size: .85rem; }
article .prompt { opacity: .7; }
"""

SCRIPT = """
const rows = JSON.parse(document.getElementById("rows").textContent);
const $ = (id) => document.getElementById(id);
const PAGE = 50;
let shown = PAGE;
for (const field of ["run", "step", "domain", "status"]) {
  const values = [...new Set(rows.map((row) => row[field]))].filter((value) => value !== undefined);
  values.sort((a, b) => typeof a === "number" ? a - b : String(a).localeCompare(String(b)));
  for (const value of values) $(field).add(new Option(`${field}: ${value}`, String(value)));
  $(field).hidden = values.length < 2;
}
function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;  // never innerHTML: the text is a model's
  if (className) made.className = className;
  return made;
}
function number(value) { return value === null ? "none" : String(Math.round(value * 1000) / 1000); }
function card(row) {
  const article = document.createElement("article");
  const header = document.createElement("header");
  header.append(element("span", row.status, "status"));
  if (row.run !== undefined) header.append(element("span", row.run));
  header.append(element("span", `step ${row.step}`), element("span", row.domain), element("span", row.problem_id));
  header.append(element("span", `reward ${number(row.total)}`), element("span", `advantage ${number(row.advantage)}`));
  for (const [name, value] of Object.entries(row.parts)) header.append(element("span", `${name} ${number(value)}`));
  header.append(element("span", `${row.completion_tokens} tokens, ${row.finish_reason}`));
  header.append(element("span", `wanted ${JSON.stringify(row.ground_truth)}`));
  article.append(header, element("pre", row.prompt, "prompt"), element("pre", row.text));
  if (row.reason) article.append(element("small", row.reason));
  return article;
}
function draw() {
  const words = $("search").value.toLowerCase();
  const fits = (row) => ["run", "step", "domain", "status"].every(
    (field) => !$(field).value || String(row[field]) === $(field).value)
    && (!words || (row.text + "\\n" + row.prompt + "\\n" + row.problem_id).toLowerCase().includes(words));
  const found = rows.filter(fits);
  $("count").textContent = `${found.length} of ${rows.length} completions`;
  $("list").replaceChildren(...found.slice(0, shown).map(card));
  $("more").hidden = found.length <= shown;
}
for (const id of ["run", "step", "domain", "status", "search"]) {
  $(id).addEventListener("input", () => { shown = PAGE; draw(); });
}
$("more").addEventListener("click", () => { shown += PAGE; draw(); });
draw();
"""


def page(title: str, sections: str, configs: str, rows: Sequence[dict[str, Any]], left_out: int) -> str:
    """The whole page.

    Args:
        title: Name of the run or runs, as text.
        sections: HTML of figures and plots.
        configs: HTML of the configs.
        rows: Completions to browse; any text.
        left_out: Completions on disk that are not among `rows`.

    Returns:
        An HTML document without references to other files.
    """
    name = html.escape(title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} - grpo-jax report</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{name}</h1>
{sections}
{_browser(rows, left_out) if rows else ""}
{configs}
</body>
</html>
"""


def embed_json(value: Any) -> str:
    """JSON that is safe inside a script element: no `<`, so neither `</script>` nor `<!--` can occur."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")


def _browser(rows: Sequence[dict[str, Any]], left_out: int) -> str:
    selects = "".join(
        f'<select id="{field}" aria-label="{field}"><option value="">every {field}</option></select>'
        for field in ("run", "step", "domain", "status")
    )
    note = f" ({left_out} more in the run's completions folder)" if left_out else ""
    return f"""<section>
<h2>Completions</h2>
<div class="filters"><input id="search" type="search" placeholder="search text" aria-label="search text">{selects}</div>
<p><span id="count"></span>{note}</p>
<div id="list"></div>
<button id="more" type="button">show more</button>
</section>
<script type="application/json" id="rows">{embed_json(rows)}</script>
<script>{SCRIPT}</script>"""
