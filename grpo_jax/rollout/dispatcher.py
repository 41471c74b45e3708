# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rollout functions under way, all on one event loop, and what they ask for brought to the sampler.

    event loop (own thread)              the thread that samples
    function --- generate ------------>  hear: submitted to the live sampler between two chunks
       ^                                    | a chunk for all that is under way
       +--- turn ------------------------ answer: ended samples
    function --- outcome or failure --->  hear: returned

A function that raises, hangs or returns nonsense ends its own rollout and nothing else.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Protocol

from grpo_jax.config import RunConfig
from grpo_jax.records import Completion, Prompt, Tokenizer
from grpo_jax.rollout.event_loop import CHECK_SECONDS, LoopThread
from grpo_jax.rollout.functions import BoundFunction
from grpo_jax.rollout.mailbox import Mailbox, Run, Wish
from grpo_jax.rollout.player import Player
from grpo_jax.rollout.trajectory import Ended, Place
from grpo_jax.sampling.request import Partial, Sample, SampleRequest


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


class Dispatcher:
    """Calls of rollout functions; a context manager. One thread at a time may use it.

    Whoever samples calls `hear` and `answer` in turn with its chunks, as `play` does for rollouts that are all there is
    to do. The event loop runs from the first `start` on, and goes on by itself meanwhile.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, functions: Mapping[str, BoundFunction]):
        """Start with nothing.

        Args:
            config: The run.
            tokenizer: With the chat template.
            functions: By domain.
        """
        self._player, self._patience = Player(config, tokenizer, functions), config.rollout.seconds
        self._mailbox = Mailbox()
        self._thread: LoopThread | None = None
        self._runs: dict[Place, Run] = {}
        self._asked: dict[int, Wish] = {}
        self._withdrawn: list[Wish] = []

    def __enter__(self) -> "Dispatcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def num_running(self) -> int:
        """Rollouts that have not ended."""
        return len(self._runs)

    def __contains__(self, place: Place) -> bool:
        return place in self._runs

    def start(
        self, place: Place, prompt: Prompt, *, step: int, attempt: int = 0, temperature: float | None = None
    ) -> None:
        """Call the function of the prompt's domain for one rollout.

        Args:
            place: Of the rollout; none is under way there.
            prompt: What it is about.
            step: Names the noise, with the problem, the rollout's number and `attempt`.
            attempt: Times that this rollout was given up before.
            temperature: Takes the place of the prompt's.
        """
        if self._thread is None:
            self._thread = LoopThread(self._patience)
        run = self._runs[place] = Run(place, step)
        run.task = self._thread.start(self._one(run, prompt, attempt, temperature))

    def wait(self, seconds: float) -> None:
        """Until a function has something to say, at most so long."""
        self._mailbox.wait(seconds)

    def hear(self, sampler: "Sampler") -> list[Ended]:
        """Submit what functions ask for, and give up what nobody waits for any more; call it every `CHECK_SECONDS`.

        Returns:
            Rollouts that ended since the last call.

        Raises:
            RuntimeError: A function blocks the event loop for good.
        """
        if self._thread is None:
            return []
        ended, wishes = self._mailbox.take()
        found = [one for run, one in ended if self._runs.get(one.place) is run]
        for one in found:
            del self._runs[one.place]
        for wish in [*self._withdrawn, *wishes]:
            if self._runs.get(wish.run.place) is not wish.run:
                self._thread.call(wish.future.cancel)
            elif not wish.future.done():
                ticket = sampler.submit(wish.request, partials=[wish.partial], step=wish.run.step)
                self._asked[ticket] = wish
        self._withdrawn = []
        for ticket in [ticket for ticket, wish in self._asked.items() if wish.future.done()]:
            sampler.cancel(ticket)
            del self._asked[ticket]
        sampler.expecting_more = bool(self._runs)
        self._thread.check()
        return found

    def answer(self, samples: Sequence[Sample]) -> list[Sample]:
        """Tell functions of the samples that they asked for; returns the others."""
        others = []
        for sample in samples:
            wish = self._asked.pop(sample.request, None)
            if wish is None:
                others.append(sample)
                continue
            assert self._thread is not None
            wish.run.saw(sample.completion.versions)
            self._thread.call(_resolve, wish.future, sample.completion)
        return others

    def withdrawn(self, partials: Sequence[Partial]) -> list[Partial]:
        """Take back what the sampler gave back unfinished, to go on with the next `hear`; returns the others'."""
        others = []
        for own in partials:
            wish = self._asked.pop(own.ticket, None)
            if wish is None:
                others.append(own)
                continue
            wish.run.saw(own.versions)
            self._withdrawn.append(replace(wish, partial=own))
        return others

    def cancel(self, place: Place, sampler: "Sampler") -> None:
        """Give up a rollout that is under way."""
        run = self._runs.pop(place)
        assert run.task is not None
        run.task.cancel()
        for ticket in [ticket for ticket, wish in self._asked.items() if wish.run is run]:
            sampler.cancel(ticket)
            del self._asked[ticket]

    def oldest_versions(self, in_lanes: Mapping[int, int]) -> dict[Place, int]:
        """Of the weights that sampled any token so far, of every rollout under way that has one.

        Args:
            in_lanes: The same by ticket, as far as the sampler works on them.
        """
        known = [(place, run.oldest_version) for place, run in self._runs.items()]
        known += [(wish.run.place, in_lanes.get(ticket)) for ticket, wish in self._asked.items()]
        found: dict[Place, int] = {}
        for place, version in known:
            if version is not None:
                found[place] = min(version, found.get(place, version))
        return found

    def play(
        self,
        prompts: Mapping[int, Prompt],
        num_samples: int,
        sampler: "Sampler",
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
        for number, prompt in prompts.items():
            for sample in range(num_samples):
                self.start((number, sample), prompt, step=step, temperature=temperature)
        while self._runs:
            if not self._asked:
                self.wait(CHECK_SECONDS)
            yield from self.hear(sampler)
            if self._asked:
                self.answer(sampler.advance())

    def close(self) -> None:
        """Give up all that is under way; safe to repeat."""
        self._runs, self._asked, self._withdrawn = {}, {}, []
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    async def _one(self, run: Run, prompt: Prompt, attempt: int, temperature: float | None) -> None:
        ask = partial(self._mailbox.ask, run)
        ended = await self._player.play(prompt, run.place, ask, step=run.step, attempt=attempt, temperature=temperature)
        self._mailbox.finish(run, ended)


def _resolve(future: asyncio.Future[Completion], completion: Completion) -> None:
    if not future.done():
        future.set_result(completion)
