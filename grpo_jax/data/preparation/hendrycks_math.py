# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
r"""MATH (https://arxiv.org/abs/2103.03874): competition problems whose solution puts the answer in a `\boxed{}`.

Rows of every copy are taken: the original folder of one JSON file a problem `{problem, level, type, solution}`, and
copies that name the topic `subject` or carry the extracted `answer`. The level is the difficulty, 1 to 5.
"""

import re
from typing import Any

from grpo_jax.data.preparation.boxed_answer import boxed_answer
from grpo_jax.data.preparation.row_building import UnusableRowError, problem_row, required_text
from grpo_jax.data.rows import Row

_LEVEL = re.compile(r"(?:Level\s*)?(\d+)")


def is_raw(row: Row) -> bool:
    """Whether a row has this dataset's fields."""
    return {"problem", "level", "solution"} <= set(row)


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row; the ground truth is `answer` where the row has it, else the last box of the solution.

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing; `UnusableRowError` where the solution has no final answer.
    """
    text = required_text(row, ("problem",), where)
    solution = required_text(row, ("solution",), where)
    given = row.get("answer")
    answer = given.strip() if isinstance(given, str) and given.strip() else boxed_answer(solution)
    if not answer:
        raise UnusableRowError(f"{where}: field solution has no \\boxed{{}} with a final answer")
    level = _LEVEL.fullmatch(str(row.get("level", "")).strip())  # some rows say "Level ?"
    extra = {
        "split": split,
        "index": index,
        "subject": row.get("type") or row.get("subject"),
        "level": int(level.group(1)) if level else None,
        "solution": solution,
    }
    difficulty = float(level.group(1)) if level else None
    return problem_row(text, "EleutherAI/hendrycks_math", "math", answer, extra, difficulty)
