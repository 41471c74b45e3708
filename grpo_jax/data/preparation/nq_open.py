# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""NQ-Open and EfficientQA (https://arxiv.org/abs/2101.00133): real search questions with all accepted short answers."""

from typing import Any

from grpo_jax.data.preparation.row_building import problem_row, required_text, text_list
from grpo_jax.data.rows import Row

_JUDGED = "answer_and_def_correct_predictions"


def is_raw(row: Row) -> bool:
    """Whether a row is a question with a list of answers and nothing but judgements of predictions beside."""
    others = [name for name in row if name not in ("question", "answer")]
    return isinstance(row.get("answer"), list) and "question" in row and all("predictions" in name for name in others)


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row `{question, answer: [...]}`; the ground truth is the list of accepted answers.

    The EfficientQA test file adds predictions that annotators judged definitely correct; they are accepted too.

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing or of the wrong kind.
    """
    question = required_text(row, ("question",), where)
    answers = [*text_list(row, "answer", where), *text_list(row, _JUDGED, where, required=False)]
    accepted = list(dict.fromkeys(stripped for answer in answers if (stripped := answer.strip())))
    extra = {"split": split, "index": index}
    return problem_row(question, "google-research-datasets/nq_open", "qa", accepted, extra)
