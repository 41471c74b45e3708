# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rewards that shape the length of completions: soft overlong punishment and the cosine length reward.

Rewards see text, so lengths are counted in characters or words here. The same slope in tokens, against each domain's
token limit, is `objective.overlong_buffer_tokens`.
"""

import math
from typing import Literal

from grpo_jax.config import RewardsConfig
from grpo_jax.records import ConfigError, PartScore, Problem
from grpo_jax.rewards import accuracy

LengthUnit = Literal["characters", "words"]


def length_of(text: str, unit: LengthUnit) -> int:
    """Characters, or words between white space.

    Raises:
        ConfigError: Any other unit.
    """
    if unit not in ("characters", "words"):
        raise ConfigError(f"reward setting unit={unit!r} must be 'characters' or 'words'")
    return len(text) if unit == "characters" else len(text.split())


def soft_overlong(
    problem: Problem,
    completion: str,
    *,
    limit: int = 8000,
    buffer: int = 2000,
    penalty: float = 1.0,
    unit: LengthUnit = "characters",
) -> PartScore:
    """Punish length as in DAPO (https://arxiv.org/abs/2503.14476, equation 13).

    Args:
        problem: Not looked at.
        completion: Decoded text of the assistant's turn.
        limit: Length from which on the whole penalty holds.
        buffer: Width of the slope before it, above 0 and at most `limit`.
        penalty: Depth of the slope.
        unit: What lengths are counted in.

    Returns:
        0 up to limit - buffer, then falling evenly to -penalty at the limit.

    Raises:
        ConfigError: `buffer` is out of its range.
    """
    if not 0 < buffer <= limit:
        raise ConfigError(f"reward setting buffer={buffer} must be above 0 and at most limit={limit}")
    excess = (length_of(completion, unit) - (limit - buffer)) / buffer
    return PartScore(-penalty * min(max(excess, 0.0), 1.0))


def cosine_length(
    problem: Problem,
    completion: str,
    *,
    limit: int = 8000,
    correct_short: float = 2.0,
    correct_long: float = 1.0,
    wrong_short: float = -10.0,
    wrong_long: float = 0.0,
    over_limit: float = -10.0,
    unit: LengthUnit = "characters",
) -> PartScore:
    """Score length by correctness (https://arxiv.org/abs/2502.03373): right answers early, wrong ones late.

    Args:
        problem: What was asked; `accuracy` judges the answer.
        completion: Decoded text of the assistant's turn.
        limit: Longest length, above 0.
        correct_short: A right answer of length 0.
        correct_long: A right answer at the limit.
        wrong_short: A wrong answer of length 0.
        wrong_long: A wrong answer at the limit.
        over_limit: Beyond the limit, right or wrong.
        unit: What lengths are counted in.

    Returns:
        A half cosine from the value at length 0 to the one at the limit; no status, because it is about the length.

    Raises:
        ConfigError: `limit` is not above 0.
    """
    if limit <= 0:
        raise ConfigError(f"reward setting limit={limit} must be above 0")
    length = length_of(completion, unit)
    if length > limit:
        return PartScore(over_limit)
    right = accuracy.accuracy(problem, completion).value == 1.0
    short, long = (correct_short, correct_long) if right else (wrong_short, wrong_long)
    return PartScore(long + 0.5 * (short - long) * (1.0 + math.cos(math.pi * length / limit)))


def warm_up(settings: RewardsConfig) -> None:
    """Pay for the imports behind `accuracy` before the first sample is timed."""
    accuracy.warm_up(settings)
