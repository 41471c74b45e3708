# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
r"""The final answer of a worked solution: the content of its last box."""

import re

_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE = re.compile(r"[^\s$.,;]+")


def boxed_answer(solution: str) -> str:
    r"""The content of the last `\boxed{...}` or `\fbox{...}`, braces balanced, or the word after a bare `\boxed 2`.

    This is how MATH's own publishers read their solutions: where alternatives end in a box each, the last one counts.

    Returns:
        The content without blanks around it; empty where there is no box.
    """
    boxes = list(_BOX.finditer(solution))
    if not boxes:
        return ""
    start = boxes[-1].end()
    if not solution.startswith("{", start):
        bare = _BARE.match(solution, start)
        return bare.group() if bare else ""
    depth = 0
    for token in _BRACE.finditer(solution, start):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth == 0:
            return solution[start + 1 : token.start()].strip()
    return ""
