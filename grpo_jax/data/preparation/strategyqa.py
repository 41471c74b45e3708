# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""StrategyQA (https://arxiv.org/abs/2101.02235): yes/no questions that need several implicit facts."""

from typing import Any

from grpo_jax.data.preparation.row_building import problem_row, required_text
from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError

_WORDS = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}


def is_raw(row: Row) -> bool:
    """Whether a row is a question whose answer is a boolean."""
    return "question" in row and isinstance(row.get("answer"), bool)


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row; the ground truth is "yes" or "no".

    The facts that lead to the answer stay beside the problem, as text of one fact a line, and are not shown.

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing, or the answer is neither a boolean nor one of yes, no, true, false.
    """
    question = required_text(row, ("question",), where)
    answer = _WORDS.get(str(row.get("answer")).strip().lower())
    if answer is None:
        raise ConfigError(f"{where}: field answer must be true or false, got {row.get('answer')!r}")
    facts = row.get("facts")
    extra = {
        "split": split,
        "index": index,
        "id": row.get("qid"),
        "term": row.get("term"),
        "description": row.get("description"),
        "facts": "\n".join(map(str, facts)) if isinstance(facts, list) else facts,
    }
    return problem_row(question, "ChilleD/StrategyQA", "logic", answer, extra)
