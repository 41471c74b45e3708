# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""GSM8K: raw rows to the problem schema."""

import pytest

from grpo_jax.data.preparation.gsm8k import convert_row
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import GSM8K


def test_final_answer_loses_its_commas_and_the_question_stays_bare():
    row = convert_row(GSM8K, "train", 5, "train.jsonl:6")
    assert row["reward_model"] == {"style": "rule", "ground_truth": "1234"}
    assert row["prompt"] == [{"role": "user", "content": GSM8K["question"]}]
    assert row["extra_info"] == {"split": "train", "index": 5, **GSM8K}


@pytest.mark.parametrize(
    ("change", "field"),
    [({"answer": "no mark"}, "answer"), ({"answer": "####"}, "answer"), ({"question": None}, "question")],
)
def test_row_without_question_or_answer_is_named(change, field):
    with pytest.raises(ConfigError, match=rf"train\.jsonl:6: field {field}"):
        convert_row({**GSM8K, **change}, "train", 5, "train.jsonl:6")
