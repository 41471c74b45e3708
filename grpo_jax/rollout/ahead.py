# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling ahead: prompts of later steps are in work while a step is finished, scored and learned from.

With n steps ahead there are n + 1 steps' prompts in flight, so that no lane waits for the longest completion of a step
and no device for the slowest reward. A step ends when each domain has as many finished groups as the step's own draw
has prompts of it, the oldest first: the mix of what is learned from is that of the plan, exactly, whatever is in
flight. With d(k) prompts of a domain drawn for step k, d(k) + .. + d(k + n) of them are in flight at its start, and at
its end d(k + 1) + .. + d(k + n).

`sampling.carry_over` withdraws what is unfinished at the end of a step and lets it go on in the next; a group is
finished when its last token is sampled, so every decision follows from tokens and a run repeats itself.
`rollout.max_staleness` lets the sampler go on through learning; a group is finished when it is scored, so decisions
follow the clock.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from grpo_jax.config import RunConfig
from grpo_jax.data.loader import ProblemLoader
from grpo_jax.parallel.processes import exchange
from grpo_jax.records import Completion, Rollout, RolloutGroup, Tokenizer
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.collector import Collected
from grpo_jax.rollout.in_flight import GroupInFlight, described, rebuilt
from grpo_jax.rollout.requests import request_of_prompt
from grpo_jax.rollout.scores import Scores
from grpo_jax.rollout.step_rollouts import Serve, StepRollouts
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.live import LiveSampling
from grpo_jax.sampling.request import Partial, Room, Sample, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.stop_strings import cut_at_stop

logger = logging.getLogger(__name__)

_WAIT_SECONDS = 0.5
_LEAST_SECONDS = 1e-6  # of a step for which everything was there; rates divide by it
_MOST_NAMED = 3


class SamplingAhead:
    """Groups in flight, over steps."""

    def __init__(
        self,
        config: RunConfig,
        engine: SamplingEngine,
        pool: RewardPool,
        tokenizer: Tokenizer,
        loader: ProblemLoader,
        total_steps: int,
    ):
        """Start with nothing in flight.

        Args:
            config: The run, with `sampling.carry_over` or `rollout.max_staleness`.
            engine: The sampler.
            pool: Scores completions.
            tokenizer: Of the model.
            loader: Draws, for as many steps as the run has.
            total_steps: Steps of the run.
        """
        self._config, self._engine, self._pool, self._tokenizer = config, engine, pool, tokenizer
        self._loader, self._total_steps = loader, total_steps
        staleness = config.rollout.max_staleness
        self._goes_on = staleness > 0
        self._steps_ahead = max(staleness, int(config.sampling.carry_over))
        self._oldest = None
        if self._goes_on and config.rollout.on_stale == "drop":
            self._oldest = staleness * config.training.minibatches * config.training.epochs
        settings = [config.sampling_of(domain) for domain in config.domains]
        self._room = Room(
            config.sampling.group_size,
            config.data.max_prompt_tokens,
            max(own.max_completion_tokens for own in settings),
            max(len(own.stop_token_ids) for own in settings),
        )
        self._flying: list[GroupInFlight] = []
        self._plans: deque[tuple[dict[str, int], dict[str, float]]] = deque()
        self._drawn_steps = self._num_drawn = 0
        self._live: LiveSampling | None = None
        self._by_ticket: dict[int, GroupInFlight] = {}
        self._sampled_tokens, self._sampling_seconds = 0, _LEAST_SECONDS
        self._scores = Scores(pool)

    def step(self, serve: Serve, *, step: int, policy_version: int, phase: int | None) -> StepRollouts:
        """See `StepSource`: the oldest groups that are finished, by domain as many as the step's draw has."""
        start = time.perf_counter()
        self._draw(step, phase)
        wanted, mix = self._plans.popleft()
        live = self._sampler(serve(), policy_version)
        drawn = time.perf_counter()
        carried = sum(len(own.token_ids) for group in self._flying for own in group.partials.values())
        dropped = self._drop_stale(policy_version)
        self._submit()
        waiting = 0.0
        while (chosen := self._finished(wanted)) is None:
            if live.idle:
                before = time.perf_counter()
                self._scores.note(_WAIT_SECONDS)
                waiting += time.perf_counter() - before
            else:
                self._advance()
                self._scores.note()
        self._flying = [group for group in self._flying if group not in chosen]
        if not self._goes_on:
            self._withdraw()
        before = time.perf_counter()
        groups = self._assembled(chosen)
        waiting += time.perf_counter() - before
        collected = Collected(groups, self._sampled_tokens, self._sampling_seconds, waiting)
        self._sampled_tokens, self._sampling_seconds = 0, _LEAST_SECONDS
        metrics = {**mix, **self._own_metrics(groups, policy_version), "rollout/carried_tokens": float(carried)}
        metrics["rollout/dropped_groups"] = float(len(dropped))
        prompts = tuple(group.prompt for group in chosen)
        return StepRollouts(prompts, collected, (), 0, drawn - start, metrics)

    def meanwhile(self) -> None:
        """Sample another chunk of what is in flight."""
        if self._goes_on:
            self._advance()

    def pause(self) -> None:
        """See `StepSource`: what is unfinished goes on in the next step."""
        self._withdraw()

    def state(self) -> dict[str, Any]:
        """Everything in flight."""
        if self._live is not None:
            self._take(self._live.settle())
            self._note_partials(self._live.partials())
        return {
            **described(self._flying),
            "plans": [[wanted, mix] for wanted, mix in self._plans],
            "drawn_steps": self._drawn_steps,
            "num_drawn": self._num_drawn,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what was in flight; what had ended is scored again."""
        self._flying = rebuilt(
            state,
            lambda row: self._loader.prompt_of(row["domain"], row["index"], row["bucket"], row["temperature"]),
        )
        self._plans = deque((dict(wanted), dict(mix)) for wanted, mix in state["plans"])
        self._drawn_steps, self._num_drawn = state["drawn_steps"], state["num_drawn"]
        for group in self._flying:
            for number in group.completions:
                self._score(group, number)
        ended = sum(len(group.completions) for group in self._flying)
        tokens = sum(len(own.token_ids) for group in self._flying for own in group.partials.values())
        logger.info(
            "%d groups in flight: %d completions are scored again, %d go on after %d tokens, none is sampled again",
            len(self._flying),
            ended,
            sum(len(group.partials) for group in self._flying),
            tokens,
        )

    def close(self) -> None:
        """Drop what is in flight."""
        self._scores.close()
        if self._live is not None:
            self._live.close()

    def _draw(self, step: int, phase: int | None) -> None:
        """Draw up to so many steps ahead."""
        group_size = self._config.sampling.group_size
        while self._drawn_steps < min(step + self._steps_ahead, self._total_steps):
            self._drawn_steps += 1
            prompts = [prompt for own in exchange(next(self._loader)) for prompt in own]
            for prompt in prompts:
                fresh = {number: Partial.fresh(number) for number in range(group_size)}
                group = GroupInFlight(prompt, self._num_drawn, self._drawn_steps, phase, partials=fresh)
                self._num_drawn += 1
                self._flying.append(group)
            counts = Counter(prompt.problem.domain for prompt in prompts)
            mix = {name: float(value) for name, value in self._loader.metrics().items()}
            self._plans.append((dict(counts), mix))

    def _sampler(self, weights: ServingWeights, policy_version: int) -> LiveSampling:
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
        return self._live

    def _request(self, group: GroupInFlight) -> SampleRequest:
        request = request_of_prompt(self._config, group.prompt)
        return replace(request, noise_id=f"{request.noise_id}/again{group.attempts}") if group.attempts else request

    def _submit(self) -> None:
        """Give the sampler what it does not work on, the oldest first."""
        assert self._live is not None
        for group in self._flying:
            if group.partials and group.ticket is None:
                partials = [*group.partials.values()]
                group.ticket = self._live.submit(self._request(group), step=group.step, partials=partials)
                self._by_ticket[group.ticket] = group

    def _advance(self) -> None:
        assert self._live is not None
        start, tokens = time.perf_counter(), self._engine.counts.tokens
        self._take(self._live.advance())
        self._sampling_seconds += time.perf_counter() - start
        self._sampled_tokens += self._engine.counts.tokens - tokens

    def _take(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            group = self._by_ticket[sample.request]
            del group.partials[sample.sample]
            group.completions[sample.sample] = sample.completion
            self._score(group, sample.sample)

    def _score(self, group: GroupInFlight, number: int) -> None:
        """Every host samples in lockstep with the others; each scores its share of the groups."""
        if group.number % jax.process_count() == jax.process_index():
            self._scores.put((group.number, number), partial(self._queue, group, group.completions[number]))

    def _queue(self, group: GroupInFlight, completion: Completion) -> tuple[str, int]:
        """Text of a completion, and the ticket under which it waits to be scored."""
        stops = self._config.sampling_of(group.domain).stop
        text = cut_at_stop(self._tokenizer.decode(completion.token_ids.tolist()), stops)
        return text, self._pool.submit(group.prompt.problem, text, group.phase)

    def _withdraw(self) -> None:
        """Take what is unfinished out of the sampler."""
        if self._live is None:
            return
        withdrawn = self._live.withdraw()
        self._take(withdrawn.samples)
        self._note_partials(withdrawn.partials)
        self._by_ticket.clear()
        for group in self._flying:
            group.ticket = None

    def _note_partials(self, partials: Sequence[Partial]) -> None:
        for own in partials:
            self._by_ticket[own.ticket].partials[own.sample] = own

    def _finished(self, wanted: Mapping[str, int]) -> list[GroupInFlight] | None:
        """For each domain so many groups, the oldest of the finished ones; None where one has too few."""
        chosen: list[GroupInFlight] = []
        for domain, count in wanted.items():
            ready = [group for group in self._flying if group.domain == domain and not group.partials]
            if len(ready) >= count and self._goes_on:
                ready = [group for group in ready if self._scores.are_there(group.places)]
            if len(ready) < count:
                return None
            chosen += ready[:count]
        return sorted(chosen, key=lambda group: group.number)

    def _drop_stale(self, policy_version: int) -> list[GroupInFlight]:
        """Begin groups again that too old weights have sampled from; within a step none becomes too old."""
        if self._oldest is None:
            return []
        assert self._live is not None
        dropped = []
        for group in self._flying:
            known = [group.oldest_version]
            if group.ticket is not None:
                known.append(self._live.oldest_version(group.ticket))
            oldest = min((version for version in known if version is not None), default=policy_version)
            if policy_version - oldest <= self._oldest:
                continue
            if group.ticket is not None:
                self._live.cancel(group.ticket)
                del self._by_ticket[group.ticket]
            self._scores.drop(group.places)
            group.begin_again(self._config.sampling.group_size)
            dropped.append(group)
        if dropped:
            names = ", ".join(group.prompt.problem.id for group in dropped[:_MOST_NAMED])
            more = f" and {len(dropped) - _MOST_NAMED} more" if len(dropped) > _MOST_NAMED else ""
            logger.info("older than rollout.max_staleness, sampled again: %s%s", names, more)
        return dropped

    def _assembled(self, chosen: Sequence[GroupInFlight]) -> tuple[RolloutGroup, ...]:
        """The groups with their rewards, of all hosts."""
        own = self._scores.take([place for group in chosen for place in group.places])
        scored = {place: found for part in exchange(own) for place, found in part.items()}
        return tuple(
            RolloutGroup(
                group.prompt,
                tuple(
                    Rollout(completion, *scored[group.number, s], policy_version=_oldest(completion))
                    for s, completion in sorted(group.completions.items())
                ),
            )
            for group in chosen
        )

    def _own_metrics(self, groups: Sequence[RolloutGroup], policy_version: int) -> dict[str, float]:
        ages = np.concatenate([policy_version - _sampled_versions(r.completion) for g in groups for r in g.rollouts])
        trained = Counter(group.prompt.problem.domain for group in groups)
        in_flight = Counter(group.domain for group in self._flying)
        found = {
            "rollout/staleness_mean": float(ages.mean()),
            "rollout/staleness_max": float(ages.max()),
            "rollout/in_flight": float(len(self._flying)),
        }
        for domain in self._config.domains:
            found[f"domain_mix_count/{domain}"] = float(trained[domain])
            found[f"rollout/{domain}/in_flight"] = float(in_flight[domain])
        return found


def _sampled_versions(completion: Completion) -> np.ndarray:
    assert completion.versions is not None, "the sampler tells of every token who sampled it"
    return completion.versions[completion.versions >= 0]


def _oldest(completion: Completion) -> int:
    return int(_sampled_versions(completion).min())
