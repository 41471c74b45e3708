# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""GSM8K (https://arxiv.org/abs/2110.14168): grade-school problems whose worked solution ends in `#### answer`.

The question stays bare; what to do with it ("put the answer in a box") is the domain's template's to say.
"""

from typing import Any

from grpo_jax.data.preparation.row_building import problem_row, required_text
from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError


def is_raw(row: Row) -> bool:
    """Whether a row has the fields `{question, answer}` of this dataset, the answer marked by `####`."""
    return set(row) == {"question", "answer"} and isinstance(row["answer"], str) and "####" in row["answer"]


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row `{question, answer}` to the problem schema; the ground truth is the final number.

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing, or the answer has nothing after `####`.
    """
    question = required_text(row, ("question",), where)
    answer = required_text(row, ("answer",), where)
    _, mark, final = answer.rpartition("####")
    final = final.strip().replace(",", "")
    if not mark or not final:
        raise ConfigError(f"{where}: field answer has no final answer after '####'")
    extra = {"split": split, "index": index, "question": question, "answer": answer}
    return problem_row(question, "openai/gsm8k", "math", final, extra)
