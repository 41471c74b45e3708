# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""GSM8K (https://arxiv.org/abs/2110.14168): grade-school problems whose worked solution ends in `#### answer`.

The question stays bare; what to do with it ("put the answer in a box") is the domain's template's to say.
"""

from typing import Any

from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one raw row `{question, answer}` to the problem schema.

    Args:
        row: The raw row.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing, or the answer has nothing after `####`.
    """
    question, answer = row.get("question"), row.get("answer")
    if not isinstance(question, str) or not question.strip():
        raise ConfigError(f"{where}: field question must be a non-empty string")
    if not isinstance(answer, str):
        raise ConfigError(f"{where}: field answer must be a string")
    _, mark, final = answer.rpartition("####")
    final = final.strip().replace(",", "")
    if not mark or not final:
        raise ConfigError(f"{where}: field answer has no final answer after '####'")
    return {
        "prompt": [{"role": "user", "content": question.strip()}],
        "data_source": "openai/gsm8k",
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": final},
        "extra_info": {"split": split, "index": index, "question": question, "answer": answer},
    }
