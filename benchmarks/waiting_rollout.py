# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A rollout function that waits, as for a service that answers when it likes."""

import asyncio
import random

from grpo_jax.records import Problem
from grpo_jax.rollout.trajectory import Generate, Turn, TurnSettings

_FIRST_TURN = TurnSettings(max_tokens=8)
_ANSWER = (10,)


async def two_turns(problem: Problem, generate: Generate, *, seconds: float = 2.0) -> Turn:
    """A turn, 0 to `seconds` seconds that follow from the rollout's seed, and another turn."""
    first = await generate(problem.messages, settings=_FIRST_TURN)
    await asyncio.sleep(random.Random(generate.seed).uniform(0.0, seconds))
    return await generate(_ANSWER, after=first)
