# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""NQ-Open: raw rows to the problem schema."""

import pytest

from grpo_jax.data.preparation.nq_open import convert_row
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import EFFICIENTQA, NQ_OPEN


def test_all_answers_are_accepted_once_each():
    raw = {**NQ_OPEN, "answer": ["Shakespeare", " Shakespeare", "W. Shakespeare"]}
    row = convert_row(raw, "dev", 0, "here")
    assert row["reward_model"]["ground_truth"] == ["Shakespeare", "W. Shakespeare"]


def test_predictions_judged_definitely_correct_are_accepted_too():
    row = convert_row(EFFICIENTQA, "test", 0, "here")
    assert row["reward_model"]["ground_truth"] == ["Shakespeare", "the Bard"]


@pytest.mark.parametrize("answer", [None, [], "Shakespeare", [3]])
def test_answer_that_is_no_list_of_text_is_refused(answer):
    with pytest.raises(ConfigError, match=r"^here: field answer must be a non-empty list of strings"):
        convert_row({**NQ_OPEN, "answer": answer}, "dev", 0, "here")
