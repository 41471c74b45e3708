# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that bounds rollout functions and says how what they earn is credited."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from grpo_jax.records import ConfigError

RolloutFunction = str | Callable[..., Any]
"""A registered name or dotted path (`module:function`) of an async function, or the function itself."""


@dataclass(frozen=True)
class RolloutConfig:
    """Limits of rollout functions (`domains.NAME.rollout`), and credit over the turns of a trajectory.

    All tokens after the prompt, those that the environment writes among them, count towards the domain's
    `max_completion_tokens`.
    """

    max_turns: int = 8
    """Times that one rollout may sample; at the next it ends."""
    max_turn_tokens: int | None = None
    """Token limit of one turn; None leaves it what the trajectory has left."""
    seconds: float = 60.0
    """Wall time of one rollout beside its waiting for the sampler; after it the rollout counts as hung."""
    credit: Literal["end", "turn", "discounted"] = "end"
    """`end` gives every token the trajectory's total; `turn` gives a turn what it earned itself and the outcome;
    `discounted` gives it what was earned from it on, the outcome with the last turn, by `discount` a turn."""
    discount: float = 1.0
    """Of `discounted`, in (0, 1]."""


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
