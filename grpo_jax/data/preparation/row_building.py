# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the converters of raw rows share: checked access to fields, and the row of the problem schema they end in."""

import ast
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError


class UnusableRowError(ConfigError):
    """A row that is as its dataset publishes it, but holds no problem with a checkable answer.

    `prepare` leaves such rows out and says so; any other `ConfigError` of a row is a fault of the file.
    """


def required_text(row: Row, names: Sequence[str], where: str) -> str:
    """The text of the first of these fields that the row has, with Unix line ends and no blanks around it.

    Args:
        row: The raw row.
        names: Alternative names of one field; the first is named in messages.
        where: File and line, for messages.

    Raises:
        ConfigError: The row has none of them, or not as non-empty text.
    """
    value = next((row[name] for name in names if row.get(name) is not None), None)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: field {names[0]} must be a non-empty string")
    return unix_lines(value).strip()


def text_list(row: Row, name: str, where: str, required: bool = True) -> list[str]:
    """A field that is a list of strings; an absent one is empty where it is not required.

    Raises:
        ConfigError: It is no list of strings, or required and empty.
    """
    value = row.get(name)
    if value is None and not required:
        return []
    items = value if isinstance(value, list | tuple) else [None]
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items) or (required and not texts):
        kind = "a non-empty list" if required else "a list"
        raise ConfigError(f"{where}: field {name} must be {kind} of strings")
    return [unix_lines(text) for text in texts]


def parsed_json(value: Any, field: str, where: str) -> Any:
    """A field that some publishers store as JSON text, as the value it stands for.

    Raises:
        ConfigError: It is text but no JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ConfigError(f"{where}: field {field} is not valid JSON: {' '.join(str(error).split())}") from error


def parsed_python(code: str) -> ast.Module:
    """Python text as a tree, without the warnings that published code with odd escapes would cause.

    Raises:
        SyntaxError: It is not Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def unix_lines(text: str) -> str:
    r"""Text whose lines end in `\n`."""
    return text.replace("\r\n", "\n")


def problem_row(
    text: str,
    data_source: str,
    ability: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any],
    difficulty: float | None = None,
) -> dict[str, Any]:
    """A row of the problem schema whose prompt is one user message."""
    return {
        "prompt": [{"role": "user", "content": text}],
        "data_source": data_source,
        "ability": ability,
        "reward_model": {"style": "rule", "ground_truth": ground_truth},
        "extra_info": dict(extra_info),
        "difficulty": difficulty,
    }
