# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What rollout functions work with and return: turns that follow one another, and an outcome.

A trajectory is the last turn with all turns before it. Ids are only ever appended to, so what is trained on is what was
sampled, to the id:

    turn 0   context [prompt]                                   sampled [a a a]
    turn 1   context [prompt a a a  e e e e]                    sampled [b b]
    turn 2   context [prompt a a a  e e e e  b b  f f f]        sampled [c]
                             ------          ---                -> learned from: a, b, c; e and f are the environment's
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int32

from grpo_jax.records import Completion, Message, RewardStatus, RolloutEnd


class LimitError(Exception):
    """The rollout has reached a limit; functions may catch it, else the trajectory ends with the last turn.

    Attributes:
        end: Which one.
    """

    def __init__(self, end: RolloutEnd):
        super().__init__(end.value)
        self.end = end


class NonsenseError(ValueError):
    """A rollout function asked for or returned something that cannot be trained on; the message says what."""


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """How one turn is sampled; None leaves a setting as the domain has it. The temperature is always the domain's.

    Attributes:
        max_tokens: Token limit of the turn.
        stop: Strings that end it.
        trained: False keeps what is sampled out of the loss, as if the environment had written it.
    """

    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    trained: bool = True


DEFAULT_SETTINGS = TurnSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One answer of the policy.

    Attributes:
        context: All ids that it followed, the prompt first.
        completion: What was sampled.
        text: The same decoded, up to a stop string.
        number: Which of the rollout's turns it is, from 0, in the order they were asked for.
        before: The turn that it goes on from; None where it began a conversation.
        trained: Whether it is learned from.
    """

    context: Int32[np.ndarray, " T"]
    completion: Completion
    text: str
    number: int = 0
    before: "Turn | None" = None
    trained: bool = True

    @property
    def token_ids(self) -> Int32[np.ndarray, " T"]:
        """Context and sampled ids."""
        return np.concatenate([self.context, self.completion.token_ids])

    @property
    def finished(self) -> bool:
        """Whether the policy ended the turn itself, rather than its token limit."""
        return self.completion.finish_reason == "stop"

    def path(self) -> list["Turn"]:
        """The turns of the trajectory up to this one, the first one first."""
        turns: list[Turn] = []
        turn: Turn | None = self
        while turn is not None:
            turns.append(turn)
            turn = turn.before
        return turns[::-1]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rollout function returns.

    Attributes:
        turn: The last turn of the trajectory; with those before it, its spans are trained.
        reward: What the trajectory earned, turns aside; None leaves it to the domain's rewards.
        turn_rewards: What each turn of the trajectory earned by itself, in their order; may be shorter.
        parts: What the reward was made of, for the metrics `reward/{domain}/{part}`.
        status: The verdict; None is pass where the reward is above 0, else fail. Ignored without a reward.
        answer: Text that the domain's rewards judge; None is the last turn's.
        detail: Anything that they need to know beside the problem; joins `problem.extra`, so JSON values only.
        end: Whether the function gave up at one of its limits.
    """

    turn: Turn
    reward: float | None = None
    turn_rewards: Sequence[float] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    status: RewardStatus | None = None
    answer: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    end: RolloutEnd = RolloutEnd.DONE


Place = tuple[int, int]
"""Number of a group, and of the rollout in it."""


@dataclass(frozen=True)
class Ended:
    """How one rollout ended; the outcome is there unless it failed, the reason where it did."""

    place: Place
    end: RolloutEnd
    outcome: Outcome | None = None
    reason: str = ""


class Generate(Protocol):
    """The handle on the sampler that a rollout function gets; any number of calls may be under way at once.

    Attributes:
        seed: Of this rollout, the same whenever the run repeats it; what an environment draws should follow from it.
        max_turns: `rollout.max_turns`.
    """

    seed: int
    max_turns: int

    @property
    def clock(self) -> AbstractContextManager[None]:
        """Stands still within, as it does while the sampler is asked.

        For waiting whose length other rollouts decide and which ends by itself, such as for one's turn in a queue.
        """
        ...

    async def __call__(
        self,
        prompt: Sequence[Message] | Sequence[int] | Int32[np.ndarray, " T"],
        *,
        after: Turn | None = None,
        settings: TurnSettings = DEFAULT_SETTINGS,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Turn:
        """Sample the policy's next turn.

        Args:
            prompt: Messages, which the chat template goes around, or ids, which are taken as they are. After a turn
                only what is new.
            after: The turn to go on from; None begins a conversation.
            settings: Of this turn.
            tools: JSON schemas of functions for the chat template, where a conversation begins.

        Raises:
            LimitError: The rollout has had all its turns or tokens.
            NonsenseError: There is nothing to sample from.
        """
        ...


def spans(turn: Turn) -> Iterator[tuple[int, Turn]]:
    """Where each turn of the trajectory starts among its ids, and the turn.

    Raises:
        NonsenseError: A turn's context does not begin with all of the turn before it.
    """
    before: Turn | None = None
    for own in turn.path():
        if before is not None:
            known = before.token_ids
            if len(own.context) < len(known) or not np.array_equal(own.context[: len(known)], known):
                raise NonsenseError(f"turn {own.number} does not go on from the ids of turn {before.number}")
        yield len(own.context), own
        before = own


def as_completion(turn: Turn, num_prompt: int) -> Completion:
    """A trajectory from its `num_prompt`-th id on, as one completion.

    Raises:
        NonsenseError: Turns do not follow one another, or none of them is trained.
    """
    ids = turn.token_ids
    logprobs, truncated = np.zeros(len(ids), np.float32), np.zeros(len(ids), np.float32)
    turns, versions = np.full(len(ids), -1, np.int32), np.full(len(ids), -1, np.int32)
    for place, (start, own) in enumerate(spans(turn)):
        if own.trained:
            stop = start + len(own.completion.token_ids)
            logprobs[start:stop] = own.completion.sampler_logprobs
            truncated[start:stop] = own.completion.truncated_logprobs
            turns[start:stop] = place
            versions[start:stop] = 0 if own.completion.versions is None else own.completion.versions
    if not (turns >= 0).any():
        raise NonsenseError("no turn of the trajectory is trained")
    ids, logprobs, truncated, turns, versions = (
        values[num_prompt:] for values in (ids, logprobs, truncated, turns, versions)
    )
    return Completion(ids.astype(np.int32), logprobs, turn.completion.finish_reason, truncated, versions, turns)
