# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `repetition` reward: a cost for n-grams of words that occur again."""

from grpo_jax.records import ConfigError, PartScore, Problem


def repetition(problem: Problem, completion: str, *, ngram: int = 3, penalty: float = 1.0) -> PartScore:
    """Punish repeated n-grams, the defence of https://arxiv.org/abs/2502.03373 against padding for length.

    Args:
        problem: Not looked at.
        completion: Decoded text of the assistant's turn.
        ngram: Words in an n-gram, at least 1; letter case does not count.
        penalty: Times the share of n-grams that occurred before.

    Returns:
        A value in (-penalty, 0]; 0 for texts of fewer words than `ngram`.

    Raises:
        ConfigError: `ngram` is below 1.
    """
    if ngram < 1:
        raise ConfigError(f"reward setting ngram={ngram} must be at least 1")
    words = completion.casefold().split()
    total = len(words) - ngram + 1
    if total < 1:
        return PartScore(0.0)
    distinct = len({*zip(*(words[start:] for start in range(ngram)), strict=False)})
    return PartScore(-penalty * (1.0 - distinct / total) if distinct < total else 0.0)
