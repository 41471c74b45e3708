# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""MBPP (https://arxiv.org/abs/2108.07732), full and sanitized: short Python tasks checked by a list of asserts.

The text alone does not say what the function is called, so the prompt shows the first assert, as is customary; the
others stay hidden, because a shown test can be met without solving the task. `shown_tests` sets how many are shown.
"""

import ast
from typing import Any

from grpo_jax.data.preparation.row_building import parsed_python, problem_row, required_text, text_list, unix_lines
from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError

_SPLITS = ((10, "prompt"), (510, "test"), (600, "validation"), (974, "train"))
"""Last task_id of each published split."""


def is_raw(row: Row) -> bool:
    """Whether a row has this dataset's fields."""
    return {"task_id", "code", "test_list"} <= set(row)


def split_of(row: Row) -> str | None:
    """The published split of a row by its number, for files that hold all of them."""
    number = row.get("task_id")
    if not isinstance(number, int):
        return None
    return next((split for last, split in _SPLITS if number <= last), None)


def convert_row(row: Row, split: str, index: int, where: str, shown_tests: int = 1) -> dict[str, Any]:
    """Convert one raw row; the ground truth is `{kind: "asserts", tests, setup, imports, entry_point}`.

    All tests of `test_list` count, the shown ones too. `setup` runs after the solution, `imports` before it.

    Args:
        row: The raw row; the sanitized file says `prompt` for `text` and `test_imports` for `test_setup_code`.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.
        shown_tests: How many asserts the prompt shows.

    Raises:
        ConfigError: A field is missing or of the wrong kind.
    """
    text = required_text(row, ("text", "prompt"), where)
    tests = text_list(row, "test_list", where)
    if shown_tests:
        text += "\n\nIt must pass:\n" + "\n".join(test.strip() for test in tests[:shown_tests])
    setup, code = (row.get(name) or "" for name in ("test_setup_code", "code"))
    if not isinstance(setup, str) or not isinstance(code, str):
        raise ConfigError(f"{where}: fields code and test_setup_code must be strings")
    code = unix_lines(code)
    truth = {
        "kind": "asserts",
        "tests": tests,
        "setup": unix_lines(setup),
        "imports": text_list(row, "test_imports", where, required=False),
        "entry_point": _entry_point(code, tests[0]),
    }
    extra = {
        "split": split,
        "index": index,
        "id": str(row.get("task_id")),
        "shown_tests": min(shown_tests, len(tests)),
        "challenge_tests": text_list(row, "challenge_test_list", where, required=False),
        "reference_solution": code,
    }
    return problem_row(text, "google-research-datasets/mbpp", "code", truth, extra)


def _entry_point(code: str, test: str) -> str | None:
    """The function or class of the reference solution that a test calls; None where that cannot be told."""
    try:
        solution, checked = parsed_python(code), parsed_python(test)
    except SyntaxError:
        return None
    defined = {node.name for node in solution.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    called = [
        node.func.id for node in ast.walk(checked) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    return next((name for name in called if name in defined), None)
