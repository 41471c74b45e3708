# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""ARC: raw rows to the problem schema."""

import pytest

from grpo_jax.data.preparation.arc import convert_row
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import ARC, ARC_ORIGINAL


def test_numbered_labels_become_letters_in_prompt_and_truth():
    row = convert_row(ARC, "train", 0, "here")
    assert row["reward_model"]["ground_truth"] == {
        "label": "B",
        "choices": {"A": "the Sun", "B": "Mars", "C": "the Moon"},
    }
    assert row["prompt"][0]["content"] == "Which of these is a planet?\n\nA. the Sun\nB. Mars\nC. the Moon"


def test_original_release_has_the_same_form():
    row = convert_row(ARC_ORIGINAL, "dev", 0, "here")
    truth = row["reward_model"]["ground_truth"]
    assert truth["label"] == "A"
    assert list(truth["choices"]) == list("ABCDE")
    assert row["prompt"][0]["content"].startswith("Which of these is a star?\n\nA. the Sun")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"answerKey": "4"}, "answerKey"),
        ({"answerKey": None}, "answerKey"),
        ({"choices": None}, "choices"),
        ({"choices": {"text": ["one"], "label": ["A"]}}, "choices"),
        ({"choices": {"text": ["one", ""], "label": ["A", "B"]}}, "choices"),
        ({"choices": {"text": ["one", "two"], "label": ["A", "A"]}, "answerKey": "A"}, "answerKey"),
        ({"question": {"stem": ""}}, "question"),
    ],
)
def test_bad_row_is_named(change, field):
    with pytest.raises(ConfigError, match=f"^here: field {field}"):
        convert_row({**ARC, **change}, "train", 0, "here")
