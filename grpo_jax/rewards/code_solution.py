# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Takes the program out of a completion. It is text here and stays text: nothing outside a sandbox parses it."""

import re

from grpo_jax.rewards.extraction import final_part

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*$", re.MULTILINE)


def extract_solution(completion: str) -> str | None:
    """The content of the last closed fenced block after the last `</think>`.

    Whatever language the fence names; a block closes at the next fence of the same character, at least as long, with
    nothing behind it.

    Returns:
        The program without its fences; None where there is no closed block or only blank ones.
    """
    text = final_part(completion)
    last = None
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence.group().strip().startswith(opened.group(1)) and not fence.group().strip().strip("`~"):
            content = text[opened.end() + 1 : fence.start()]
            last = content if content.strip() else last
            opened = None
    return last
