# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Calls a rollout function and makes of whatever it does the end of its rollout."""

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from grpo_jax.config import RunConfig
from grpo_jax.records import Prompt, RewardStatus, RolloutEnd, Tokenizer
from grpo_jax.rewards.registry import one_line
from grpo_jax.rollout.conversation import Ask, Clock, Conversation
from grpo_jax.rollout.event_loop import family
from grpo_jax.rollout.functions import BoundFunction
from grpo_jax.rollout.trajectory import Ended, LimitError, NonsenseError, Outcome, Place, Turn, spans


class Player:
    """Rollout functions by domain, called for one rollout at a time."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, functions: Mapping[str, BoundFunction]):
        self._config, self._tokenizer, self._functions = config, tokenizer, functions

    async def play(
        self, prompt: Prompt, place: Place, ask: Ask, *, step: int, attempt: int, temperature: float | None
    ) -> Ended:
        """One rollout from its start to its end, whatever that is; on the event loop.

        Args:
            prompt: Its domain has a rollout function.
            place: Of the rollout.
            ask: The sampler.
            step: Names the noise, as `attempt` does.
            attempt: Times that the rollout was given up before.
            temperature: Takes the place of the prompt's.
        """
        task, late = asyncio.current_task(), False
        assert task is not None

        def expired() -> None:
            nonlocal late
            late = True
            if not task.done():
                task.cancel()
                # Lest it goes on all the same.
                asyncio.get_running_loop().call_later(1.0, expired)

        clock = Clock(self._config.rollout.seconds, expired)
        conversation = Conversation(
            self._config, self._tokenizer, prompt, place[1], step, ask, clock, temperature, attempt
        )
        domain = prompt.problem.domain
        try:
            with family():
                clock.start()
                try:
                    returned = await self._functions[domain](prompt.problem, conversation)
                finally:
                    clock.stop()
            if late:
                raise asyncio.CancelledError
            outcome = _checked(returned, conversation, bool(self._config.domains[domain].rewards))
            return Ended(place, outcome.end, outcome)
        except LimitError as limit:
            return self._at_limit(place, limit, conversation, domain)
        except NonsenseError as error:
            return Ended(place, RolloutEnd.NONSENSE, reason=str(error))
        except asyncio.CancelledError:
            hung = Ended(place, RolloutEnd.HUNG, reason=f"over rollout.seconds={self._config.rollout.seconds}")
            # A function cancels itself, or awaits what it cancelled; where it was given up nobody reads it.
            return hung if late else Ended(place, RolloutEnd.RAISED, reason="was cancelled")
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 a function's failure is data here
            return Ended(place, RolloutEnd.RAISED, reason=f"raised {one_line(error)}")
        except BaseException as error:  # noqa: BLE001 it blocked the loop, or raised what nobody expects
            return Ended(place, RolloutEnd.HUNG, reason=f"blocked the event loop: {one_line(error)}")

    def _at_limit(self, place: Place, limit: LimitError, conversation: Conversation, domain: str) -> Ended:
        """The trajectory up to the limit, without what the function alone could have said of it."""
        if conversation.latest is None:
            return Ended(place, RolloutEnd.NONSENSE, reason="no token of the first turn fits the trajectory")
        reward = None if self._config.domains[domain].rewards else 0.0
        outcome = Outcome(conversation.latest, reward, end=limit.end)
        try:
            return Ended(place, limit.end, _checked(outcome, conversation, judged=True))
        except NonsenseError as error:
            return Ended(place, RolloutEnd.NONSENSE, reason=str(error))


def _checked(returned: Any, conversation: Conversation, judged: bool) -> Outcome:
    """What a function returned, if it can be trained on.

    Raises:
        NonsenseError: It cannot; the message says why.
    """
    outcome = Outcome(returned) if isinstance(returned, Turn) else returned
    if not isinstance(outcome, Outcome) or not isinstance(outcome.turn, Turn):
        raise NonsenseError(f"returned {type(returned).__name__}, wanted a Turn or an Outcome")
    own = [turn for _, turn in spans(outcome.turn)]
    if not all(turn in conversation.turns for turn in own):
        raise NonsenseError("returned a turn that the sampler did not make for this rollout")
    if not any(turn.trained for turn in own):
        raise NonsenseError("no turn of the trajectory is trained")
    numbers = [*outcome.turn_rewards, *outcome.parts.values(), *([] if outcome.reward is None else [outcome.reward])]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise NonsenseError(f"a reward is no finite number: {numbers}"[:200])
    if len(outcome.turn_rewards) > len(own):
        raise NonsenseError(f"{len(outcome.turn_rewards)} rewards of turns for {len(own)} turns")
    if outcome.reward is None and not judged:
        raise NonsenseError("returned no reward, and the domain's `rewards` are empty")
    if outcome.status is RewardStatus.INVALID or outcome.end.failed:
        raise NonsenseError("declares itself failed; raise instead")
    return replace(outcome, detail=_checked_telling(outcome))


def _checked_telling(outcome: Outcome) -> dict[str, Any]:
    """The detail as plain values, where it and all else that is told in words is what it should be."""
    if not (outcome.status is None or isinstance(outcome.status, RewardStatus)):
        raise NonsenseError(f"its status {outcome.status!r} is no RewardStatus"[:200])
    if not (outcome.answer is None or isinstance(outcome.answer, str)):
        raise NonsenseError(f"its answer {outcome.answer!r} is no text"[:200])
    if not all(isinstance(name, str) for name in outcome.parts):
        raise NonsenseError(f"names of its parts are no texts: {[*outcome.parts]}"[:200])
    try:
        return json.loads(json.dumps(dict(outcome.detail)))
    except (TypeError, ValueError) as error:
        raise NonsenseError(f"its detail is no mapping to JSON values: {one_line(error)}") from error
