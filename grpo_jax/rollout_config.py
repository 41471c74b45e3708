# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that bounds rollout functions, credits what they earn, and lets sampling run ahead."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from grpo_jax.records import ConfigError

RolloutFunction = str | Callable[..., Any]
"""A registered name or dotted path (`module:function`) of an async function, or the function itself."""


@dataclass(frozen=True)
class RolloutConfig:
    """Limits of rollout functions (`domains.NAME.rollout`), credit over turns, and how far sampling runs ahead.

    All tokens after the prompt, those that the environment writes among them, count towards the domain's
    `max_completion_tokens`.
    """

    max_turns: int = 8
    """Times that one rollout may sample; at the next it ends."""
    max_turn_tokens: int | None = None
    """Token limit of one turn; None leaves it what the trajectory has left."""
    seconds: float = 60.0
    """Wall time of one rollout beside its waiting for the sampler, or for a sandbox of the ready functions; after it
    the rollout counts as hung."""
    credit: Literal["end", "turn", "discounted"] = "end"
    """`end` gives every token the trajectory's total; `turn` gives a turn what it earned itself and the outcome;
    `discounted` gives it what was earned from it on, the outcome with the last turn, by `discount` a turn."""
    discount: float = 1.0
    """Of `discounted`, in (0, 1]."""
    max_staleness: int = 0
    """Steps that the weights which sampled a completion may lie behind those that learn from it. 0 samples every step's
    completions within the step; from 1 on, so many later steps are sampled while one is scored and learned from."""
    on_stale: Literal["drop", "correct"] = "drop"
    """What becomes of groups that are older all the same: `drop` samples them again, `correct` leaves them to
    `objective.correction`."""


def check_rollout(rollout: RolloutConfig) -> None:
    """Check ranges.

    Raises:
        ConfigError: A value is out of range; the message names it.
    """
    for name in ("max_turns", "max_turn_tokens", "seconds"):
        value = getattr(rollout, name)
        if value is not None and value <= 0:
            raise ConfigError(f"rollout.{name}={value} must be above 0")
    if not 0 < rollout.discount <= 1:
        raise ConfigError(f"rollout.discount={rollout.discount} must be in (0, 1]; 1 does not discount")
    if rollout.max_staleness < 0:
        raise ConfigError(f"rollout.max_staleness={rollout.max_staleness} must be at least 0; 0 is strictly on-policy")
