# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.records import Problem
from grpo_jax.rewards.behaviour.refusal import PHRASES, refusal

PROBLEM = Problem("p", "math", (), "5")


@pytest.mark.parametrize(
    ("completion", "value"),
    [
        ("I cannot answer that.", -20.0),
        ("I CAN’T  HELP\nwith 2 + 3", -20.0),
        ("<reasoning>Please provide the problem.</reasoning><answer>5</answer>", -20.0),
        ("", -10.0),
        ("5", -10.0),
        ("   fourteen char   ", -10.0),
        ("fifteen letters", -2.0),
        ("it is a nice day today", -2.0),
        ("the result is 5, I think", 1.0),
        ("<reasoning>hmm, well", 1.0),
        ("my <ANSWER> is unclear", 1.0),
    ],
)
def test_refusing_costs_more_than_anything_else(completion: str, value: float):
    assert refusal(PROBLEM, completion).value == value


@pytest.mark.parametrize("phrase", PHRASES)
def test_every_default_phrase_is_found(phrase: str):
    assert refusal(PROBLEM, f"Well, {phrase.title()} it is 5").value == -20.0


def test_refusal_settings_replace_the_defaults():
    settings = {"phrases": ("No Way",), "refused": -1.0, "min_characters": 3, "too_short": -0.5, "attempted": 0.1}
    assert refusal(PROBLEM, "there is no way", **settings).value == -1.0
    assert refusal(PROBLEM, "I cannot answer 5", **settings).value == 0.1
    assert refusal(PROBLEM, "5", **settings).value == -0.5
    assert refusal(PROBLEM, "<out>", attempt_marks=("<out>",), min_characters=3).value == 1.0
