# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Samples the groups in flight: single turns by the sampler itself, the others by their domain's rollout functions.

Functions go on by themselves on their event loop; what they ask for is submitted between two chunks, and shares the
batch with the single turns. New weights hold from the next chunk on, for all that is under way.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from grpo_jax.config import RunConfig
from grpo_jax.records import Tokenizer
from grpo_jax.rollout.dispatcher import Dispatcher
from grpo_jax.rollout.functions import BoundFunction
from grpo_jax.rollout.in_flight import GroupInFlight
from grpo_jax.rollout.requests import request_of_prompt, room_of
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.live import LiveSampling
from grpo_jax.sampling.request import Partial, Sample
from grpo_jax.sampling.serving import ServingWeights

_LEAST_SECONDS = 1e-6  # of a step for which everything was there; rates divide by it


class FlightSampling:
    """The live sampler and the rollout functions of a run that samples ahead. One thread may use it."""

    def __init__(
        self,
        config: RunConfig,
        engine: SamplingEngine,
        tokenizer: Tokenizer,
        functions: Mapping[str, BoundFunction],
        ended: Callable[[GroupInFlight, int], None],
    ):
        """Start with nothing.

        Args:
            config: The run.
            engine: The sampler.
            tokenizer: Of the model.
            functions: Rollout function of each domain that has one.
            ended: Called for each sample that has ended and is in its group.
        """
        self._config, self._engine, self._functions, self._ended = config, engine, functions, ended
        self._room = room_of(config, config.domains, config.data.max_prompt_tokens)
        self._live: LiveSampling | None = None
        self._dispatcher = Dispatcher(config, tokenizer, functions)
        self._by_ticket: dict[int, GroupInFlight] = {}
        self._played: dict[int, GroupInFlight] = {}
        self._tokens, self._seconds = 0, _LEAST_SECONDS

    @property
    def idle(self) -> bool:
        """Whether the sampler has nothing to do, as far as functions were heard."""
        return self._sampler.idle

    @property
    def num_playing(self) -> int:
        """Rollouts of functions that are under way."""
        return self._dispatcher.num_running

    def use(self, weights: ServingWeights, policy_version: int) -> None:
        """Sample with these weights from the next chunk on."""
        if self._live is None:
            self._live = self._engine.open(
                weights,
                room=self._room,
                num_prompts=self._config.data.prompts_per_step,
                seed=self._config.seed,
                policy_version=policy_version,
            )
        else:
            self._live.swap(weights, policy_version)

    def submit(self, groups: Sequence[GroupInFlight]) -> None:
        """Begin with, or go on with, what is not in work of these groups."""
        for group in groups:
            if group.domain in self._functions:
                for number in group.partials:
                    place = group.number, number
                    if place not in self._dispatcher:
                        self._played[group.number] = group
                        self._dispatcher.start(place, group.prompt, step=group.step, attempt=group.attempts)
            elif group.partials and group.ticket is None:
                request = request_of_prompt(self._config, group.prompt, attempt=group.attempts)
                partials = [*group.partials.values()]
                group.ticket = self._sampler.submit(request, step=group.step, partials=partials)
                self._by_ticket[group.ticket] = group

    def wait(self, seconds: float) -> None:
        """Until a function has something to say, at most so long."""
        self._dispatcher.wait(seconds)

    def advance(self) -> None:
        """Hear the functions and sample a chunk of all that is asked for."""
        self._hear()
        if self._sampler.idle:
            return
        with self._counted():
            self._take(self._sampler.advance())

    def take_counts(self) -> tuple[int, float]:
        """Tokens sampled since the last call, and the seconds that it took."""
        found = self._tokens, self._seconds
        self._tokens, self._seconds = 0, _LEAST_SECONDS
        return found

    def oldest_versions(self, groups: Sequence[GroupInFlight]) -> list[int | None]:
        """Of the weights that sampled any token so far of each group; None where there is none."""
        in_lanes = self._sampler.oldest_versions()
        of_functions = self._dispatcher.oldest_versions(in_lanes)
        found = []
        for group in groups:
            known = [group.oldest_version, *(of_functions.get((group.number, number)) for number in group.partials)]
            if group.ticket is not None:
                known.append(in_lanes.get(group.ticket))
            found.append(min((version for version in known if version is not None), default=None))
        return found

    def drop(self, group: GroupInFlight) -> None:
        """Give up all that is under way of a group."""
        for number in group.partials:
            if (group.number, number) in self._dispatcher:
                self._dispatcher.cancel((group.number, number), self._sampler)
        if group.ticket is not None:
            self._sampler.cancel(group.ticket)
            self._forget(group)

    def settle(self) -> None:
        """Bring the groups up to date with what is under way, which goes on."""
        if self._live is not None:
            self._hear()
            with self._counted():
                self._take(self._live.settle())
            self._note([own for own in self._live.partials() if own.ticket in self._by_ticket])

    def withdraw(self) -> None:
        """Take all out of the sampler; functions go on, and what they ask for waits."""
        if self._live is None:
            return
        with self._counted():
            withdrawn = self._live.withdraw()
        self._take(withdrawn.samples)
        self._note(self._dispatcher.withdrawn(withdrawn.partials))
        for group in self._by_ticket.values():
            group.ticket = None
        self._by_ticket.clear()

    def close(self) -> None:
        """Drop everything."""
        self._dispatcher.close()
        if self._live is not None:
            self._live.close()

    @property
    def _sampler(self) -> LiveSampling:
        assert self._live is not None, "weights come first"
        return self._live

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """The sampler at work: its tokens and seconds count."""
        start, tokens = time.perf_counter(), self._engine.counts.tokens
        yield
        self._seconds += time.perf_counter() - start
        self._tokens += self._engine.counts.tokens - tokens

    def _hear(self) -> None:
        for one in self._dispatcher.hear(self._sampler):
            number, sample = one.place
            group = self._played[number]
            del group.partials[sample]
            if not group.partials:
                del self._played[number]
            group.ended[sample] = one
            self._ended(group, sample)

    def _take(self, samples: Sequence[Sample]) -> None:
        for sample in self._dispatcher.answer(samples):
            group = self._by_ticket[sample.request]
            del group.partials[sample.sample]
            group.completions[sample.sample] = sample.completion
            if not group.partials:
                self._forget(group)
            self._ended(group, sample.sample)

    def _note(self, partials: Sequence[Partial]) -> None:
        for own in partials:
            self._by_ticket[own.ticket].partials[own.sample] = own

    def _forget(self, group: GroupInFlight) -> None:
        assert group.ticket is not None
        del self._by_ticket[group.ticket]
        group.ticket = None
