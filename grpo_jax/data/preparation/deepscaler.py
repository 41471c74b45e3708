# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
r"""DeepScaleR and the files it is made of: AIME, AMC, Minerva, OlympiadBench, MATH with difficulty.

The files agree on little: `answer` is text, a number, a list of accepted texts, or only in the solution's `\boxed{}`;
AIME copies capitalise their fields, OlympiadBench and Minerva copies say `question` and `final_answer`.
The difficulty is the publishers' own score (about 1 to 10; 0 and below mean unknown), else the share of a model's
attempts that failed where a copy holds a rate of solving.
"""

import math
import re
from typing import Any

from grpo_jax.data.preparation.boxed_answer import boxed_answer
from grpo_jax.data.preparation.row_building import UnusableRowError, problem_row, required_text
from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError

_DOLLAR = re.compile(r"(?<!\\)\$")
"""A dollar sign that opens or closes mathematics; an escaped one is a currency."""

_SOURCES = (
    ("aime_number", "AIME"),
    ("subfield", "OlympiadBench"),
    ("url", "AMC"),
    ("idx", "Minerva"),
    ("type", "MATH"),
)
"""A field that only files of this origin have -> `extra_info.subset`; the first that fits."""


def is_raw(row: Row) -> bool:
    """Whether a row is a problem with an answer, and not one of MATH or of a code dataset."""
    return {"problem", "answer"} <= set(row) and not {"level", "tests"} & set(row)


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row; the ground truth is the answer as text, or a list where several texts are accepted.

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing or of the wrong kind; `UnusableRowError` where the row has no answer.
    """
    row = {name.lower(): value for name, value in row.items()}
    text = required_text(row, ("problem", "question"), where)
    context = row.get("context")
    if isinstance(context, str) and context.strip():
        text = f"{context.strip()}\n\n{text}"
    golds = _golds(row, where)
    if not golds:
        raise UnusableRowError(f"{where}: field answer is empty, so no answer could be checked")
    extra = {
        "split": split,
        "index": index,
        "subset": next((name for field, name in _SOURCES if row.get(field) is not None), None),
        "subject": row.get("subfield") or row.get("type"),
        "unit": row.get("unit"),
        "answer_type": row.get("answer_type"),
        "solution": _solution(row),
    }
    truth = golds[0] if len(golds) == 1 else golds
    return problem_row(
        text,
        "agentica-org/DeepScaleR-Preview-Dataset",
        "math",
        truth,
        extra,
        _difficulty(row),
    )


def _difficulty(row: Row) -> float | None:
    score = row.get("difficulty")
    if isinstance(score, int | float) and score > 0:
        return float(score)
    rates = [value for name, value in row.items() if name.endswith(("pass_rate", "solve_rate"))]
    return next((1.0 - float(rate) for rate in rates if isinstance(rate, int | float) and 0 <= rate <= 1), None)


def _golds(row: Row, where: str) -> list[str]:
    """The accepted answers in order, without repetition and without the dollar signs of LaTeX around them."""
    answer = next((row[name] for name in ("answer", "final_answer") if row.get(name) is not None), None)
    items = answer if isinstance(answer, list) else [] if answer is None else [answer]
    golds = [_plain_answer(item, where) for item in items]
    found = list(dict.fromkeys(gold for gold in golds if gold))
    return found or [box for box in [boxed_answer(_solution(row) or "")] if box]


def _plain_answer(answer: Any, where: str) -> str:
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise ConfigError(f"{where}: field answer must be text, a number or a list of them, got {answer!r}")
    if isinstance(answer, str):
        return _DOLLAR.sub("", answer).strip()
    if not math.isfinite(answer):
        raise ConfigError(f"{where}: field answer is {answer}, which is no answer")
    return str(int(answer)) if float(answer).is_integer() else str(answer)


def _solution(row: Row) -> str | None:
    """The worked solution; the first one where a row holds several."""
    solution = row.get("solution")
    if isinstance(solution, list):
        solution = next((item for item in solution if isinstance(item, str)), None)
    return solution if isinstance(solution, str) else None
