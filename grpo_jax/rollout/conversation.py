# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The handle of one rollout function on the sampler: encodes what is new, keeps the limits, stops the clock."""

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Int32

from grpo_jax.config import RunConfig
from grpo_jax.records import Completion, Message, Prompt, RolloutEnd, Tokenizer
from grpo_jax.rollout.requests import request_of_prompt
from grpo_jax.rollout.trajectory import DEFAULT_SETTINGS, LimitError, NonsenseError, Turn, TurnSettings
from grpo_jax.sampling.request import Partial, SampleRequest
from grpo_jax.sampling.stop_strings import cut_at_stop

Ask = Callable[[SampleRequest, Partial], Awaitable[Completion]]
"""Has the sampler go on from what is there of one sample; returns all of it."""

_GRACE_SECONDS = 1.0
"""What a rollout gets when its time is over, and the loop may have been blocked by another one meanwhile."""


@dataclass
class Clock:
    """Wall time of a rollout beside its waiting for what all share; the load of others must not decide who is late.

    Attributes:
        seconds: That it may take.
        expired: Called once they are over.
    """

    seconds: float
    expired: Callable[[], None]
    _waiting: int = 0
    _since: float = 0.0
    _warned: bool = False
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def start(self) -> None:
        """Let it run; call it on the event loop."""
        self._since = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(self.seconds, 0.0), self._ring)

    def stop(self) -> None:
        """Halt it; nothing where it does not run."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.seconds -= time.monotonic() - self._since

    def _ring(self) -> None:
        self.stop()
        if self._warned:
            self.expired()
        else:
            self._warned = True
            self._since = time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._ring)

    def __enter__(self) -> None:
        self._waiting += 1
        self.stop()

    def __exit__(self, *exception: object) -> None:
        self._waiting -= 1
        if not self._waiting:
            self.start()


class Conversation:
    """`trajectory.Generate` for one rollout of one prompt.

    Attributes:
        seed: See `Generate`, like `max_turns`.
        clock: Stands still while the sampler is asked, and where the function says.
        turns: All that were sampled, in the order they came.
    """

    def __init__(
        self,
        config: RunConfig,
        tokenizer: Tokenizer,
        prompt: Prompt,
        sample: int,
        step: int,
        ask: Ask,
        clock: Clock,
        temperature: float | None = None,
        attempt: int = 0,
    ):
        """Set up the limits.

        Args:
            config: The run.
            tokenizer: With the chat template.
            prompt: What the rollout is about.
            sample: Which of its rollouts.
            step: Names the noise, with the run's seed, the problem and the sample.
            ask: The sampler.
            clock: Of this rollout.
            temperature: Takes the place of the prompt's.
            attempt: Times that this rollout was given up before; names the noise as well, but not `seed`.
        """
        self._request = request_of_prompt(config, prompt, temperature, attempt)
        self._tokenizer, self._prompt, self._sample, self._ask = tokenizer, prompt, sample, ask
        self._max_prompt_tokens = config.data.max_prompt_tokens
        self._max_turn_tokens = config.rollout.max_turn_tokens
        self._num_turns = 0
        self.max_turns = config.rollout.max_turns
        self.seed = zlib.crc32(f"{config.seed}/{step}/{prompt.problem.id}/{sample}".encode())
        self.clock = clock
        self.turns: list[Turn] = []

    async def __call__(
        self,
        prompt: Sequence[Message] | Sequence[int] | Int32[np.ndarray, " T"],
        *,
        after: Turn | None = None,
        settings: TurnSettings = DEFAULT_SETTINGS,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Turn:
        """See `Generate`."""
        context = self._context(prompt, after, tools)
        path = [] if after is None else after.path()
        root = path[0].context if path else context
        number, given = self._num_turns, len(context) - len(root)
        if number >= self.max_turns:
            raise LimitError(RolloutEnd.TURN_LIMIT)
        if len(root) > self._max_prompt_tokens:
            raise NonsenseError(f"a conversation of {len(root)} tokens exceeds data.max_prompt_tokens")
        room = self._request.max_tokens - given
        if room < 1:
            raise LimitError(RolloutEnd.TOKEN_LIMIT)
        _check_settings(settings)
        self._num_turns += 1
        limit = min(room, self._max_turn_tokens or room, settings.max_tokens or room)
        noise = self._request.noise_id
        request = replace(
            self._request,
            token_ids=root,
            # Noise follows from a token's place in the conversation: another one that begins needs other noise.
            noise_id=noise if number == len(path) else f"{noise}/{number}",
            max_tokens=given + limit,
            stop_strings=self._request.stop_strings if settings.stop is None else settings.stop,
        )
        with self.clock:
            whole = await self._ask(request, Partial.fresh(self._sample).given(context[len(root) :]))
        completion = Completion(
            whole.token_ids[given:],
            whole.sampler_logprobs[given:],
            whole.finish_reason,
            whole.truncated_logprobs[given:],
            None if whole.versions is None else whole.versions[given:],
        )
        text = cut_at_stop(self._tokenizer.decode(completion.token_ids.tolist()), request.stop_strings)
        turn = Turn(context, completion, text, number, after, settings.trained)
        self.turns.append(turn)
        return turn

    @property
    def latest(self) -> Turn | None:
        """The turn that came last."""
        return self.turns[-1] if self.turns else None

    def _context(
        self,
        prompt: Sequence[Message] | Sequence[int] | Int32[np.ndarray, " T"],
        after: Turn | None,
        tools: Sequence[Mapping[str, Any]] | None,
    ) -> Int32[np.ndarray, " T"]:
        own: Any = prompt
        is_messages = any(isinstance(item, Mapping) for item in own)
        if after is None:
            if is_messages and not tools and tuple(own) == tuple(self._prompt.problem.messages):
                return self._prompt.token_ids
            ids = np.asarray(self._tokenizer.encode_chat(own, tools), np.int32) if is_messages else self._ids(own)
            if not len(ids):
                raise NonsenseError("an empty prompt")
            return ids
        if not is_messages:
            return np.concatenate([after.token_ids, self._ids(own)])
        sampled = after.completion.token_ids
        new = self._tokenizer.encode_reply(own)
        stops = (*self._tokenizer.stop_ids, *self._request.stop_ids)
        # The template ends the policy's turn; where the policy did so itself, its own token stands.
        if len(sampled) and sampled[-1] in stops and new and new[0] in stops:
            new = new[1:]
        return np.concatenate([after.token_ids, np.asarray(new, np.int32)])

    def _ids(self, given: Any) -> Int32[np.ndarray, " T"]:
        """Ids that a function gives: the tokenizer's own, and whatever else the policy sampled in this rollout."""
        ids = np.asarray(given)
        if not ids.size:
            return np.zeros(0, np.int32)
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise NonsenseError(f"wanted messages or ids in a row, not {given!r}"[:200])
        others = ids[(ids < 0) | (ids >= self._tokenizer.vocab_size)]
        if len(others):
            others = np.setdiff1d(others, np.concatenate([[], *(turn.completion.token_ids for turn in self.turns)]))
        if len(others):
            raise NonsenseError(f"id {others[0]} is none of the tokenizer's, 0 to {self._tokenizer.vocab_size - 1}")
        return ids.astype(np.int32)


def _check_settings(settings: TurnSettings) -> None:
    """Refuse what the sampler would stumble over, for all rollouts of the step."""
    limit, stop = settings.max_tokens, settings.stop
    if limit is not None and not (isinstance(limit, int | np.integer) and limit >= 1):
        raise NonsenseError(f"max_tokens={limit!r} is no number of tokens from 1 on")
    if stop is not None and not (isinstance(stop, tuple) and all(isinstance(own, str) and own for own in stop)):
        raise NonsenseError(f"stop={stop!r} is no tuple of texts, none of them empty"[:200])
