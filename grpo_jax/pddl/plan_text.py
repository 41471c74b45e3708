# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The text of plans, as planners and models write them."""

import re
from pathlib import Path

from grpo_jax.records import ConfigError

Step = tuple[str, ...]
"""An action with its objects: ("pick", "ball1", "room2")."""

_MARKER = re.compile(r"(?:step\s*)?\d+(?:\.\d+)?\s*[.:)\]]\s*|[-+•]\s+", re.IGNORECASE)
_DURATION = re.compile(r"\[[\d.]+\]$")
_STEPS = re.compile(r"\([^()]*\)(?:[\s,]*\([^()]*\))*")
_STEP = re.compile(r"\(([^()]*)\)")


class PlanError(ValueError):
    """A text that is not a plan, or a plan whose steps are no actions of the task; the message says why."""


def read_steps(line: str) -> list[Step]:
    """Read one line of a plan.

    A line holds steps `(action object ...)`, one or several, after an optional number or bullet (`3:`, `3.`, `3)`,
    `Step 3:`, `-`) and before an optional duration `[1]` and comment (`; ...`). Backticks and asterisks around it are
    dropped, and letters are made small.

    Returns:
        The steps; none for an empty line, and for one that does not start with a parenthesis, which is prose.

    Raises:
        PlanError: It starts with a parenthesis but is not made of steps alone.
    """
    text = line.partition(";")[0].strip().strip("`*").strip()
    marker = _MARKER.match(text)
    if marker:
        text = text[marker.end() :].strip("`* \t")
    if not text.startswith("("):
        return []
    text = _DURATION.sub("", text.rstrip("., \t")).rstrip("`* \t")
    if not _STEPS.fullmatch(text):
        raise PlanError(f"not made of steps (action object ...): {text[:80]}")
    steps = [tuple(inner.lower().split()) for inner in _STEP.findall(text)]
    if not all(steps):
        raise PlanError(f"a step without an action: {text[:80]}")
    return steps


def read_plan_file(path: str | Path) -> tuple[Step, ...]:
    """Read a plan file, one or several steps a line.

    Raises:
        ConfigError: The file cannot be read or holds something else than steps, numbers and comments.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a UTF-8 text file") from error
    steps: list[Step] = []
    for number, line in enumerate(lines, start=1):
        try:
            steps += read_steps(line)
        except PlanError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
    return tuple(steps)


def show_step(step: Step) -> str:
    """A step as PDDL text."""
    return f"({' '.join(step)})"
