# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""HumanEval (https://arxiv.org/abs/2107.03374): functions to complete, checked by a `check(candidate)` of asserts."""

from typing import Any

from grpo_jax.data.preparation.row_building import problem_row, required_text, unix_lines
from grpo_jax.data.rows import Row


def is_raw(row: Row) -> bool:
    """Whether a row has this dataset's fields."""
    return {"task_id", "prompt", "entry_point", "test"} <= set(row)


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row; the prompt is the function's head, the ground truth `{kind: "check", test, ...}`.

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing or empty.
    """
    head = required_text(row, ("prompt",), where)
    truth = {
        "kind": "check",
        "test": required_text(row, ("test",), where),
        "entry_point": required_text(row, ("entry_point",), where),
        "prompt": unix_lines(row["prompt"]),
    }
    extra = {
        "split": split,
        "index": index,
        "id": row.get("task_id"),
        "reference_solution": row.get("canonical_solution"),
    }
    return problem_row(head, "openai/openai_humaneval", "code", truth, extra)
