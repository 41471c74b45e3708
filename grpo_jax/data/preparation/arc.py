# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""ARC (https://arxiv.org/abs/1803.05457), Easy and Challenge: science questions with three to five options.

Both published forms are taken: `{question, choices: {text, label}, answerKey}` of the hub and
`{question: {stem, choices: [{text, label}]}, answerKey}` of the original release.
"""

import string
from collections.abc import Mapping
from typing import Any

from grpo_jax.data.preparation.row_building import problem_row, required_text
from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError


def is_raw(row: Row) -> bool:
    """Whether a row has this dataset's fields."""
    return {"question", "answerKey"} <= set(row)


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row; the prompt is the question with its options, the ground truth `{label, choices}`.

    Options are lettered from A in their order, whatever they were labelled (some rows say 1 to 4).

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing, or `answerKey` names no option.
    """
    nested = row.get("question")
    holder: Row = {"question": nested.get("stem"), **nested} if isinstance(nested, Mapping) else row
    question = required_text(holder, ("question",), where)
    labels, texts = _options(holder.get("choices"), where)
    key = str(row.get("answerKey", "")).strip()
    if labels.count(key) != 1:
        raise ConfigError(f"{where}: field answerKey is {key!r}, which is not one of the labels {', '.join(labels)}")
    choices = dict(zip(string.ascii_uppercase, texts, strict=False))
    listed = "\n".join(f"{letter}. {text}" for letter, text in choices.items())
    truth = {"label": string.ascii_uppercase[labels.index(key)], "choices": choices}
    extra = {"split": split, "index": index, "id": row.get("id")}
    return problem_row(f"{question}\n\n{listed}", "allenai/ai2_arc", "science", truth, extra)


def _options(choices: Any, where: str) -> tuple[list[str], list[str]]:
    if isinstance(choices, Mapping):
        pairs = list(zip(choices.get("label") or (), choices.get("text") or (), strict=False))
    elif isinstance(choices, list) and all(isinstance(choice, Mapping) for choice in choices):
        pairs = [(choice.get("label"), choice.get("text")) for choice in choices]
    else:
        pairs = []
    texts = [text.strip() for _, text in pairs if isinstance(text, str) and text.strip()]
    if not 2 <= len(texts) == len(pairs) <= len(string.ascii_uppercase):
        raise ConfigError(f"{where}: field choices must hold two or more options, each with label and text")
    return [str(label).strip() for label, _ in pairs], texts
