# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest

from grpo_jax.records import Problem
from grpo_jax.rewards.behaviour.reasoning_quality import reasoning_quality

PROBLEM = Problem("p", "math", (), "5")


def quality(reasoning: str, **settings) -> float:
    return reasoning_quality(PROBLEM, f"<reasoning>{reasoning}</reasoning><answer>5</answer>", **settings).value


def words(count: int) -> str:
    """Distinct words, no sentence end, no connective, no digit, no capital."""
    names = ("".join(letters) for letters in itertools.product("bcd", "aeiou", "fgl", "aeiou", "mnp"))
    return " ".join(itertools.islice(names, count))


@pytest.mark.parametrize(
    "completion", ["", "5", "<reasoning>open", "<reasoning> </reasoning>", "</reasoning>a<reasoning>"]
)
def test_missing_reasoning_has_a_value_of_its_own(completion: str):
    assert reasoning_quality(PROBLEM, completion).value == -0.4


@pytest.mark.parametrize(
    ("reasoning", "value"),
    [
        (words(10), -0.25),  # short
        (words(30), 0.0),
        (words(60), 0.25),  # a good length
        (words(300), 0.15),
        (words(500), 0.0),
        (words(650), -0.35),  # too long
        (words(30) + " because", 0.25),
        (words(30) + " because because", 0.15),  # one connective twice: 0.25 - 0.1
        (words(30) + " because" * 5, -0.25),  # 0.25 - 0.5
        (words(30) + " because" * 9, -0.6),  # spam: -0.25 - 0.5, clamped
        (words(30) + " also nextdoor", 0.0),  # whole words only
        (words(30) + " 5", 0.15),
        (words(30) + " 5 for Alice, for example", 0.3),  # three kinds of ground, two count
        (words(30) + ". " + words(20), 0.4),  # two sentences and a good length
        (words(30) + " clearly", -0.3),
    ],
)
def test_signs_of_reasoning_add_up(reasoning: str, value: float):
    assert quality(reasoning) == pytest.approx(value)


def test_the_sum_is_clamped_at_both_ends():
    sentences = ". ".join(words(70)[start : start + 40] for start in range(0, 320, 40))
    assert quality(f"{sentences}. First, because Alice has 5, thus") == 0.9
    assert quality("clearly " + "so " * 9) == -0.6
    assert quality("clearly " + "so " * 9, lowest=-2.0) == pytest.approx(-0.25 - 0.25 - 0.5 - 0.3)
    assert quality(f"{sentences}. First, because Alice has 5, thus", highest=0.5) == 0.5


def test_tables_and_words_can_be_set():
    settings = {"connectives": ("ergo",), "connective_value": 1.0, "highest": 5.0, "length_values": ((0, 0.0),)}
    assert quality("ergo", **settings) == 1.0
    assert quality("because", **settings) == 0.0
    assert quality("because", connectives=(), fillers=(), length_values=()) == 0.0
