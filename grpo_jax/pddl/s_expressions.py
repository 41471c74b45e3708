# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reads PDDL text as nested tuples of words.

PDDL does not tell upper from lower case, so everything is lower case from here on. Comments run from `;` to the end of
the line.
"""

import re
from pathlib import Path

from grpo_jax.records import ConfigError

Expression = str | tuple["Expression", ...]
"""A word, or the expressions between a pair of parentheses."""

MAX_DEPTH = 100
"""Deeper nesting is refused: what walks the expressions may then recurse."""

_TOKEN = re.compile(r"[()]|[^\s()]+")
_COMMENT = re.compile(r";[^\n]*")


def read_file(path: str | Path) -> Expression:
    """Read the one expression that a PDDL file holds.

    Raises:
        ConfigError: The file cannot be read or is not one balanced expression.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a UTF-8 text file") from error
    return read_expression(text, str(path))


def read_expression(text: str, where: str) -> Expression:
    """Read one expression.

    Args:
        text: PDDL text.
        where: Its file, for messages.

    Raises:
        ConfigError: Parentheses do not match, nest deeper than `MAX_DEPTH`, or are not exactly one pair outside.
    """
    open_lists: list[list[Expression]] = [[]]
    for token in _TOKEN.findall(_COMMENT.sub("", text).lower()):
        if token == "(":
            open_lists.append([])
            if len(open_lists) > MAX_DEPTH:
                raise ConfigError(f"{where}: parentheses nest deeper than {MAX_DEPTH}")
        elif token == ")":
            closed = tuple(open_lists.pop())
            if not open_lists:
                raise ConfigError(f"{where}: a ')' too many")
            open_lists[-1].append(closed)
        else:
            open_lists[-1].append(token)
    if len(open_lists) > 1:
        raise ConfigError(f"{where}: {len(open_lists) - 1} parentheses are never closed")
    if len(open_lists[0]) != 1:
        raise ConfigError(f"{where}: wanted one (define ...), found {len(open_lists[0])} expressions")
    return open_lists[0][0]


def show(expression: Expression) -> str:
    """An expression as text of at most 80 characters, for messages."""
    text = expression if isinstance(expression, str) else f"({' '.join(show(part) for part in expression)})"
    return text if len(text) <= 80 else f"{text[:77]}..."
