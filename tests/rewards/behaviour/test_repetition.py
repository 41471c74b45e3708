# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.records import ConfigError, Problem
from grpo_jax.rewards.behaviour.repetition import repetition

PROBLEM = Problem("p", "math", (), "5")


@pytest.mark.parametrize(
    ("completion", "ngram", "value"),
    [
        ("", 3, 0.0),
        ("a b", 3, 0.0),
        ("a b c", 3, 0.0),
        ("a b c a b c", 3, -0.25),  # abc bca cab abc: one of four again
        ("A b C a B c", 3, -0.25),
        ("a a a a a", 1, -0.8),
        ("a b a b a", 2, -0.5),
    ],
)
def test_repeated_ngrams_cost_their_share(completion: str, ngram: int, value: float):
    assert repetition(PROBLEM, completion, ngram=ngram).value == pytest.approx(value)
    assert repetition(PROBLEM, completion, ngram=ngram, penalty=2.0).value == pytest.approx(2 * value)


def test_an_ngram_has_at_least_one_word():
    with pytest.raises(ConfigError, match="ngram"):
        repetition(PROBLEM, "a", ngram=0)
