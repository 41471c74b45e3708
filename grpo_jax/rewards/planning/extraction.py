# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the plan in a completion.

Where it is looked for, the first that is there wins; only text after the last `</think>` counts where that tag is
present:

1. the last closed, non-blank `<plan>...</plan>`,
2. the last closed, non-blank `<answer>...</answer>`,
3. the whole text.

Within it, the last closed fenced block (```) that holds a step, else all lines. There, every line that starts with a
parenthesis, behind a number or bullet at most, is a line of the plan and must be made of steps; all other lines are
prose. What a line of steps may look like is said at `pddl.plan_text.read_steps`. Time is linear in the length of the
completion, which is adversarial input.
"""

import re

from grpo_jax.pddl.plan_text import PlanError, Step, read_steps
from grpo_jax.rewards.extraction import final_part

_TAGS = tuple(
    re.compile(rf"<{name}>((?:(?!<{name}>).)*?)</{name}>", re.DOTALL | re.IGNORECASE) for name in ("plan", "answer")
)
_FENCE = "```"


def find_plan(completion: str, max_steps: int) -> tuple[Step, ...]:
    """Find the plan by the order in the module's docstring.

    Args:
        completion: Decoded text of the assistant's turn.
        max_steps: Longer plans are refused.

    Returns:
        The steps in lower case; empty where there is none.

    Raises:
        PlanError: A line of the plan is not made of steps, or there are more than `max_steps`.
    """
    text = final_part(completion)
    for tag in _TAGS:
        inside = [found for found in tag.findall(text) if found.strip()]
        if inside:
            text = inside[-1]
            break
    lines = text.splitlines()
    fenced = [block for block in _fenced_blocks(lines) if any(_has_step(line) for line in block)]
    steps: list[Step] = []
    for line in fenced[-1] if fenced else lines:
        steps += read_steps(line)
        if len(steps) > max_steps:
            raise PlanError(f"a plan of more than {max_steps} steps")
    return tuple(steps)


def _has_step(line: str) -> bool:
    try:
        return bool(read_steps(line))
    except PlanError:
        return False


def _fenced_blocks(lines: list[str]) -> list[list[str]]:
    """The lines of each closed fenced block."""
    blocks: list[list[str]] = []
    inside: list[str] | None = None
    for line in lines:
        start = line.strip()
        if not start.startswith(_FENCE) or _FENCE in start[len(_FENCE) :]:  # ```(step)``` opens no block
            if inside is not None:
                inside.append(line)
        elif inside is None:
            inside = []
        else:
            blocks.append(inside)
            inside = None
    return blocks
