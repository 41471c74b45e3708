# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which completions a report shows, and their columns as the page's browser wants them.

A page has a size to keep: of long runs whole steps are left out evenly, and of long texts the middle.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.tracking.completions import completion_files
from grpo_jax.tracking.run_folder import RunFolder

MAX_COMPLETIONS = 10_000
_LIMITS = (1_000_000, 8_000, 5_600, 4_000, 2_800, 2_000, 1_400, 1_000, 700, 500, 350, 250, 120)
"""Characters of a text that are tried, until the page is small enough."""
_BLOCK, _BLOCKS = 50, 8
_CODED = ("run", "domain", "status", "finish_reason", "problem_id", "prompt", "reason", "ground_truth", "names")
"""Columns whose values repeat: each is a list of numbers of values."""


def select_completions(folders: Mapping[str, RunFolder], most: int) -> tuple[list[dict[str, Any]], int]:
    """Rows to show, and how many were left out: whole steps, the first and last kept, the rest thinned evenly.

    Args:
        folders: Runs by name.
        most: Number of rows wanted at the most.
    """
    files = [(name, path) for name, folder in folders.items() for path in completion_files(folder)]
    texts = [(name, path.read_text(encoding="utf-8")) for name, path in files]
    counts = [text.count("\n") for _, text in texts]
    total = sum(counts)
    if total > most:
        keep = max(2, most * len(texts) // total)
        chosen = sorted({round(number * (len(texts) - 1) / (keep - 1)) for number in range(keep)})
        texts = [texts[index] for index in chosen]
    rows = [{"run": name, **json.loads(line)} for name, text in texts for line in text.split("\n") if line]
    return rows, total - len(rows)


def packed_completions(rows: Sequence[Mapping[str, Any]], most_bytes: int) -> tuple[bytes, int]:
    """The rows' columns as deflated JSON, texts shortened as far as it takes.

    Args:
        rows: As `select_completions` gives them.
        most_bytes: Size to stay below; the least limit of a text is kept whatever the size.

    Returns:
        The bytes, and the characters that were left of each text at the most.
    """
    # Neighbours, as they share prompts and compress each other.
    blocks = max(1, len(rows) // _BLOCK // _BLOCKS)
    sample = [row for start in range(0, len(rows), blocks * _BLOCK) for row in rows[start : start + _BLOCK]]
    for limit in _LIMITS:
        least = limit == _LIMITS[-1]
        if not least and len(_deflated(sample, limit)) * len(rows) / max(len(sample), 1) > 1.15 * most_bytes:
            continue
        packed = _deflated(rows, limit)
        if least or len(packed) <= most_bytes:
            return packed, limit
    raise AssertionError("the last limit returns")


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and end with a line between that says how much is left out."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]}\n[… {len(text) - head - tail:,} characters left out …]\n{text[-tail:]}"


def _deflated(rows: Sequence[Mapping[str, Any]], limit: int) -> bytes:
    # ASCII alone: a text may hold half a surrogate pair, which UTF-8 has no bytes for.
    return zlib.compress(json.dumps(_columns(rows, limit), separators=(",", ":")).encode("ascii"), 6)


def _columns(rows: Sequence[Mapping[str, Any]], limit: int) -> dict[str, Any]:
    tables: dict[str, dict[Any, int]] = {name: {} for name in _CODED}

    def code(name: str, value: Any) -> int:
        return tables[name].setdefault(value, len(tables[name]))

    columns: dict[str, Any] = {name: [] for name in _CODED}
    for row in rows:
        columns["names"].append(code("names", tuple(row["parts"])))
        for name in ("run", "domain", "status", "finish_reason", "problem_id"):
            columns[name].append(code(name, str(row[name])))
        columns["prompt"].append(code("prompt", shortened(row["prompt"], limit)))
        columns["reason"].append(code("reason", shortened(row["reason"] or "", limit)))
        truth = row["ground_truth"]
        truth = truth if isinstance(truth, str) else json.dumps(truth, ensure_ascii=False)
        columns["ground_truth"].append(code("ground_truth", shortened(truth, limit)))
    return {
        "tables": {name: [*table] for name, table in tables.items()},
        **columns,
        "step": [row["step"] for row in rows],
        "total": [row["total"] for row in rows],
        "advantage": [round(row["advantage"], 5) for row in rows],
        "tokens": [row["completion_tokens"] for row in rows],
        "parts": [[round(value, 5) for value in row["parts"].values()] for row in rows],
        "text": [shortened(row["text"], limit) for row in rows],
    }
