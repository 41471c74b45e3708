# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A `Generate` handle that answers with given texts, for rollout functions by themselves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from grpo_jax.records import Completion, RolloutEnd
from grpo_jax.rollout.trajectory import LimitError, Turn


class ScriptedTurns:
    """Answers in order, or by a function of what was said last; keeps all that was said."""

    seed = 7
    clock = contextlib.nullcontext()

    def __init__(self, answers: Sequence[str] | Callable[[str], str], max_turns: int = 50):
        self._answers, self.max_turns = answers, max_turns
        self.said: list[list[dict[str, str]]] = []
        self.tools: Any = None

    async def __call__(self, prompt, *, after=None, settings=None, tools=None) -> Turn:
        number = len(self.said)
        if number == self.max_turns:
            raise LimitError(RolloutEnd.TURN_LIMIT)
        self.said.append(list(prompt))
        self.tools = tools or self.tools
        text = self._answers(prompt[-1]["content"]) if callable(self._answers) else self._answers[number]
        context = np.zeros(1, np.int32) if after is None else after.token_ids
        ids, logprobs = (
            np.frombuffer(text.encode(), np.uint8).astype(np.int32),
            np.zeros(len(text.encode()), np.float32),
        )
        return Turn(context, Completion(ids, logprobs, "stop", logprobs), text, number, after)


def outcome_of(running: Awaitable[Any]) -> Any:
    """What a rollout function returns."""
    return asyncio.run(running)  # type: ignore[arg-type]
