# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a problem's `ground_truth` is, and the accepted answers in it.

| form | kind |
| --- | --- |
| {"functions": [...], "calls": [...]} | calls |
| {"label": "B", "choices": {"A": ..., "B": ...}}; a letter A to J where `ability` does not say math | choice |
| "yes", "no", "true", "false", or a boolean | yes_no |
| a number; text in mathematical notation; any text where `ability` says math | math |
| other text | text |

Text and numbers may be lists of several accepted answers.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from grpo_jax.records import Problem

Kind = Literal["math", "choice", "yes_no", "text", "calls"]

_YES = frozenset(("yes", "true"))
_NO = frozenset(("no", "false"))
_NOTATION = re.compile(r"\\[a-zA-Z({\[]|[=^<>]")
_NUMERIC = re.compile(r"[-+−$]?[\d.,/% ()-]*\d[\d.,/% ()-]*[a-zA-Z]{0,3}")
_TEXT_ABILITIES = frozenset(("qa", "question_answering", "question answering", "text", "reading", "knowledge"))


def truth_value(text: str) -> bool | None:
    """True for yes and true, False for no and false, in any case; None for anything else."""
    word = text.strip().casefold()
    return True if word in _YES else False if word in _NO else None


def gold_texts(ground_truth: Any) -> list[str]:
    """The accepted answers as text; the label where the form is that of a choice.

    Raises:
        ValueError: There is none, or one is neither text nor a number.
    """
    if isinstance(ground_truth, Mapping) and "label" in ground_truth:
        return [str(ground_truth["label"])]
    values = ground_truth if isinstance(ground_truth, (list, tuple)) else [ground_truth]
    if not values:
        raise ValueError("ground_truth is an empty list; the reward wants at least one answer")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value).strip():
            raise ValueError(f"ground_truth {value!r} is not an answer; the reward wants text or a number")
    return [str(value) for value in values]


def kind_of(problem: Problem) -> Kind:
    """Tell the kind of a problem's ground truth by the table in the module's docstring.

    Raises:
        ValueError: It is an object of another form, such as a code problem's tests.
    """
    truth = problem.ground_truth
    if isinstance(truth, Mapping):
        if "functions" in truth and "calls" in truth:
            return "calls"
        if "label" in truth and "choices" in truth:
            return "choice"
        raise ValueError(
            f"ground_truth with the keys {sorted(map(str, truth))} is neither an answer, a choice nor function calls"
        )
    if isinstance(truth, bool):
        return "yes_no"
    golds = gold_texts(truth)
    if len(golds) == 1 and truth_value(golds[0]) is not None:
        return "yes_no"
    ability = problem.ability.casefold()
    if "math" in ability or not isinstance(truth, (str, list, tuple)):
        return "math"
    if len(golds) == 1 and re.fullmatch(r"[A-J]", golds[0]):
        return "choice"
    if ability in _TEXT_ABILITIES:
        return "text"
    mathematical = all(_NOTATION.search(gold) or _NUMERIC.fullmatch(gold.strip()) for gold in golds)
    return "math" if mathematical else "text"
