# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the rollout functions of a step, all at once on one event loop, and has the sampler answer what they ask.

    event loop (own thread)              this thread
    function --- generate ------------>  submitted to the live sampler between two chunks
       ^                                    | a chunk for all that is under way
       +--- turn ------------------------ ended samples
    function --- outcome or failure --->  yielded

A function that raises, hangs or returns nonsense ends its own rollout and nothing else.
"""

import asyncio
import json
import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from grpo_jax.config import RunConfig
from grpo_jax.records import Completion, Prompt, RewardStatus, RolloutEnd, Tokenizer
from grpo_jax.rewards.registry import one_line
from grpo_jax.rollout.conversation import Clock, Conversation
from grpo_jax.rollout.event_loop import CHECK_SECONDS, LoopThread, family
from grpo_jax.rollout.functions import BoundFunction
from grpo_jax.rollout.trajectory import LimitError, NonsenseError, Outcome, Turn, spans
from grpo_jax.sampling.request import Partial, Sample, SampleRequest

Place = tuple[int, int]
"""Number of the prompt among those of a call, and of the rollout among those of the prompt."""

_SETTLE_SECONDS = 0.003
"""What the first of many requests waits for the others."""


class Sampler(Protocol):
    """What the dispatcher needs of `sampling.live.LiveSampling`.

    Attributes:
        expecting_more: Whether requests will follow, so that a lull is no end.
    """

    expecting_more: bool

    def submit(self, request: SampleRequest, *, partials: Sequence[Partial], step: int) -> int:
        """Queue samples that go on from what is there of them; returns the ticket."""
        ...

    def advance(self) -> list[Sample]:
        """Work for a chunk; returns samples that ended, `Sample.request` being the ticket."""
        ...

    def cancel(self, ticket: int) -> None:
        """Give samples up."""
        ...


@dataclass(frozen=True)
class Ended:
    """How one rollout ended; the outcome is there unless it failed, the reason where it did."""

    place: Place
    end: RolloutEnd
    outcome: Outcome | None = None
    reason: str = ""


class Dispatcher:
    """Rollout functions by domain."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, functions: Mapping[str, BoundFunction]):
        self._config, self._tokenizer, self._functions = config, tokenizer, functions

    def play(
        self,
        prompts: Mapping[int, Prompt],
        num_samples: int,
        sampler: Sampler,
        *,
        step: int,
        temperature: float | None = None,
    ) -> Iterator[Ended]:
        """Run `num_samples` rollouts of every prompt; yields each as it ends.

        Args:
            prompts: By their number; every domain has a rollout function.
            num_samples: Rollouts of each.
            sampler: Of the policy.
            step: Names the noise.
            temperature: Takes the place of every prompt's.
        """
        exchange = _Exchange()
        asked: dict[int, asyncio.Future[Completion]] = {}
        unfinished = len(prompts) * num_samples
        with LoopThread(self._config.rollout.seconds) as thread:
            exchange.thread = thread
            for number, prompt in prompts.items():
                for sample in range(num_samples):
                    thread.start(self._one(exchange, prompt, (number, sample), step, temperature))
            sampler.expecting_more = True
            while unfinished:
                for ended in exchange.ended(wait=not asked):
                    unfinished -= 1
                    yield ended
                for request, partial, future in exchange.requests(settle=not asked):
                    asked[sampler.submit(request, partials=[partial], step=step)] = future
                # Whoever was cancelled meanwhile waits no more.
                for ticket in [ticket for ticket, future in asked.items() if future.done()]:
                    sampler.cancel(ticket)
                    del asked[ticket]
                if asked:
                    for sample in sampler.advance():
                        thread.call(_resolve, asked.pop(sample.request), sample.completion)
                thread.check()

    async def _one(
        self, exchange: "_Exchange", prompt: Prompt, place: Place, step: int, temperature: float | None
    ) -> None:
        """One rollout from its start to its end, whatever that is."""
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
            self._config, self._tokenizer, prompt, place[1], step, exchange.ask, clock, temperature
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
            ended = Ended(place, outcome.end, outcome)
        except LimitError as limit:
            ended = self._at_limit(place, limit, conversation, domain)
        except NonsenseError as error:
            ended = Ended(place, RolloutEnd.NONSENSE, reason=str(error))
        except asyncio.CancelledError:
            hung = Ended(place, RolloutEnd.HUNG, reason=f"over rollout.seconds={self._config.rollout.seconds}")
            # A function cancels itself, or awaits what it cancelled; at the very end nobody reads it.
            ended = hung if late else Ended(place, RolloutEnd.RAISED, reason="was cancelled")
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 a function's failure is data here
            ended = Ended(place, RolloutEnd.RAISED, reason=f"raised {one_line(error)}")
        except BaseException as error:  # noqa: BLE001 it blocked the loop, or raised what nobody expects
            ended = Ended(place, RolloutEnd.HUNG, reason=f"blocked the event loop: {one_line(error)}")
        exchange.finish(ended)

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


class _Exchange:
    """What passes between the event loop and the thread that samples."""

    thread: LoopThread

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked: deque[tuple[SampleRequest, Partial, asyncio.Future[Completion]]] = deque()
        self._ended: deque[Ended] = deque()

    async def ask(self, request: SampleRequest, partial: Partial) -> Completion:
        """Queue a request; on the event loop."""
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        with self._changed:
            self._asked.append((request, partial, future))
            self._changed.notify()
        return await future

    def finish(self, ended: Ended) -> None:
        """Note the end of a rollout; on the event loop."""
        with self._changed:
            self._ended.append(ended)
            self._changed.notify()

    def ended(self, wait: bool) -> list[Ended]:
        """Rollouts that ended since the last call; may wait until there is one, or a request."""
        with self._changed:
            while wait and not (self._asked or self._ended):
                self._changed.wait(CHECK_SECONDS)
                self.thread.check()
            found = [*self._ended]
            self._ended.clear()
            return found

    def requests(self, settle: bool) -> list[tuple[SampleRequest, Partial, asyncio.Future[Completion]]]:
        """Requests since the last call; may wait until no more are coming in."""
        with self._changed:
            count = -1
            while settle and count < len(self._asked):
                count = len(self._asked)
                self._changed.wait(_SETTLE_SECONDS)
            found = [*self._asked]
            self._asked.clear()
            return found


def _resolve(future: asyncio.Future[Completion], completion: Completion) -> None:
    if not future.done():
        future.set_result(completion)


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
