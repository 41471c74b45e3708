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
`rollout.max_staleness` lets the sampler and rollout functions go on through learning; a group is finished when it is
scored, so decisions follow the clock.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from grpo_jax.config import RunConfig
from grpo_jax.data.loader import ProblemLoader
from grpo_jax.parallel.processes import exchange
from grpo_jax.records import Completion, ConfigError, Rollout, RolloutGroup, Tokenizer
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.assembly import assemble
from grpo_jax.rollout.collector import Collected
from grpo_jax.rollout.event_loop import CHECK_SECONDS
from grpo_jax.rollout.flight_sampling import FlightSampling
from grpo_jax.rollout.functions import BoundFunction
from grpo_jax.rollout.in_flight import GroupInFlight, described, rebuilt
from grpo_jax.rollout.reward_queue import RewardQueue
from grpo_jax.rollout.scores import Scores
from grpo_jax.rollout.step_rollouts import Serve, StepRollouts
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.request import Partial

logger = logging.getLogger(__name__)

_WAIT_SECONDS = 0.5
"""For a reward, where nothing else can come."""
_LOOK_SECONDS = 0.02
"""For a rollout function, where a reward may come as well."""
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
        functions: Mapping[str, BoundFunction] | None = None,
    ):
        """Start with nothing in flight.

        Args:
            config: The run, with `sampling.carry_over` or `rollout.max_staleness`.
            engine: The sampler.
            pool: Scores completions.
            tokenizer: Of the model.
            loader: Draws, for as many steps as the run has.
            total_steps: Steps of the run.
            functions: Rollout function of each domain that has one; they need `rollout.max_staleness`.
        """
        self._config, self._tokenizer, self._functions = config, tokenizer, functions or {}
        self._loader, self._total_steps = loader, total_steps
        staleness = config.rollout.max_staleness
        self._goes_on = staleness > 0
        self._steps_ahead = max(staleness, int(config.sampling.carry_over))
        self._oldest = None
        if self._goes_on and config.rollout.on_stale == "drop":
            self._oldest = staleness * config.training.minibatches * config.training.epochs
        self._flying: list[GroupInFlight] = []
        self._plans: deque[tuple[dict[str, int], dict[str, float]]] = deque()
        self._drawn_steps = self._num_drawn = 0
        self._sampling = FlightSampling(config, engine, tokenizer, self._functions, self._score)
        self._queue, self._scores = RewardQueue(config, tokenizer, pool), Scores(pool)

    def step(self, serve: Serve, *, step: int, policy_version: int, phase: int | None) -> StepRollouts:
        """See `StepSource`: the oldest groups that are finished, by domain as many as the step's draw has."""
        start = time.perf_counter()
        self._draw(step, phase)
        wanted, mix = self._plans.popleft()
        self._sampling.use(serve(), policy_version)
        drawn = time.perf_counter()
        carried = sum(group.num_partial_tokens for group in self._flying)
        dropped = self._drop_stale(policy_version)
        self._sampling.submit(self._flying)
        waiting = 0.0
        while (chosen := self._finished(wanted)) is None:
            if self._sampling.idle:
                before = time.perf_counter()
                self._wait()
                waiting += time.perf_counter() - before
            self._sampling.advance()
            self._scores.note()
        self._flying = [group for group in self._flying if group not in chosen]
        if not self._goes_on:
            self._sampling.withdraw()
        before = time.perf_counter()
        groups = self._assembled(chosen, policy_version)
        waiting += time.perf_counter() - before
        collected = Collected(groups, *self._sampling.take_counts(), waiting)
        metrics = {**mix, **self._own_metrics(groups, policy_version), "rollout/carried_tokens": float(carried)}
        metrics["rollout/dropped_groups"] = float(len(dropped))
        prompts = tuple(group.prompt for group in chosen)
        return StepRollouts(prompts, collected, (), 0, drawn - start, metrics)

    def meanwhile(self, under_way: Any = ()) -> None:
        """Sample another chunk of what is in flight; with devices of its own, until what is under way is there."""
        if not self._goes_on:
            return
        self._sampling.advance()
        apart = self._config.parallel.rollout_devices is not None
        while apart and not all(leaf.is_ready() for leaf in jax.tree.leaves(under_way)):
            if self._sampling.idle:
                self._sampling.wait(_LOOK_SECONDS)
            self._sampling.advance()

    def pause(self) -> None:
        """See `StepSource`: what is unfinished goes on in the next step."""
        self._sampling.withdraw()

    def state(self) -> dict[str, Any]:
        """Everything in flight."""
        self._sampling.settle()
        return {
            **described(self._flying),
            "plans": [[wanted, mix] for wanted, mix in self._plans],
            "drawn_steps": self._drawn_steps,
            "num_drawn": self._num_drawn,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what was in flight; what had ended is scored again, and rollout functions under way begin again.

        So do groups of another group size, longer than the token limit now is, or whose prompt is cut elsewhere now.

        Raises:
            ConfigError: Samples in flight were made with a rollout function that the run lacks, or the other way about.
        """
        self._flying = rebuilt(
            state,
            lambda row: self._loader.prompt_of(row["domain"], row["index"], row["bucket"], row["temperature"]),
        )
        self._plans = deque((dict(wanted), dict(mix)) for wanted, mix in state["plans"])
        self._drawn_steps, self._num_drawn = state["drawn_steps"], state["num_drawn"]
        for group in self._flying:
            played = group.domain in self._functions
            if (group.completions or group.num_partial_tokens) if played else group.ended:
                raise ConfigError(
                    f"domains.{group.domain}.rollout: the checkpoint has samples in flight made "
                    f"{'without' if played else 'with'} a rollout function; set it as it was"
                )
            limit = self._config.sampling_of(group.domain).max_completion_tokens
            if not group.fits(self._config.sampling.group_size, limit):
                group.begin_again(self._config.sampling.group_size)
            for _, number in group.places:
                self._score(group, number)
        again = Counter[str]()
        for group in self._flying:
            if group.domain in self._functions:
                again[group.domain] += len(group.partials)
        names = ", ".join(f"{count} of {domain}" for domain, count in again.items() if count)
        logger.info(
            "%d groups in flight: %d samples that had ended are scored again, %d go on after %d tokens, %s",
            len(self._flying),
            sum(len(group.places) for group in self._flying),
            sum(len(group.partials) for group in self._flying) - again.total(),
            sum(group.num_partial_tokens for group in self._flying),
            f"rollout functions begin again: {names}" if names else "none is sampled again",
        )

    def close(self) -> None:
        """Drop what is in flight."""
        self._scores.close()
        self._sampling.close()

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

    def _wait(self) -> None:
        """For a reward, or until a rollout function has something to say."""
        if not self._sampling.num_playing:
            self._scores.note(_WAIT_SECONDS)
        else:
            self._sampling.wait(_LOOK_SECONDS if self._scores.num_awaited else CHECK_SECONDS)

    def _score(self, group: GroupInFlight, number: int) -> None:
        """Every host samples in lockstep with the others; each scores its share of the groups."""
        if group.number % jax.process_count() != jax.process_index():
            return
        place = group.number, number
        if number in group.completions:
            completion = group.completions[number]
            self._scores.put(place, partial(self._queue.completion, group.prompt, completion, group.phase))
            return
        outcome = group.ended[number].outcome
        if outcome is not None and outcome.reward is None:
            self._scores.put(place, partial(self._queue.outcome, group.prompt, outcome, group.phase))

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
        dropped = []
        for group, oldest in zip(self._flying, self._sampling.oldest_versions(self._flying), strict=True):
            if oldest is None or policy_version - oldest <= self._oldest:
                continue
            self._sampling.drop(group)
            self._scores.drop(group.places)
            group.begin_again(self._config.sampling.group_size)
            dropped.append(group)
        if dropped:
            names = ", ".join(group.prompt.problem.id for group in dropped[:_MOST_NAMED])
            more = f" and {len(dropped) - _MOST_NAMED} more" if len(dropped) > _MOST_NAMED else ""
            logger.info("older than rollout.max_staleness, sampled again: %s%s", names, more)
        return dropped

    def _assembled(self, chosen: Sequence[GroupInFlight], policy_version: int) -> tuple[RolloutGroup, ...]:
        """The groups with their rewards, of all hosts."""
        own = self._scores.take([place for group in chosen for place in group.places])
        scored = {place: found for part in exchange(own) for place, found in part.items()}
        return tuple(
            assemble(
                self._config,
                self._tokenizer,
                group.prompt,
                [group.ended[number] for number in sorted(group.ended)],
                scored,
                policy_version,
            )
            if group.domain in self._functions
            else RolloutGroup(
                group.prompt,
                tuple(
                    Rollout(
                        completion, *scored[group.number, s], policy_version=int(_sampled_versions(completion).min())
                    )
                    for s, completion in sorted(group.completions.items())
                ),
            )
            for group in chosen
        )

    def _own_metrics(self, groups: Sequence[RolloutGroup], policy_version: int) -> dict[str, float]:
        completions = [rollout.completion for group in groups for rollout in group.rollouts if not rollout.end.failed]
        trained = Counter(group.prompt.problem.domain for group in groups)
        in_flight = Counter(group.domain for group in self._flying)
        found = {"rollout/in_flight": float(len(self._flying))}
        if completions:
            ages = policy_version - np.concatenate([_sampled_versions(own) for own in completions])
            found["rollout/staleness_mean"], found["rollout/staleness_max"] = float(ages.mean()), float(ages.max())
        for domain in self._config.domains:
            found[f"domain_mix_count/{domain}"] = float(trained[domain])
            found[f"rollout/{domain}/in_flight"] = float(in_flight[domain])
        return found


def _sampled_versions(completion: Completion) -> np.ndarray:
    assert completion.versions is not None, "the sampler tells of every token who sampled it"
    return completion.versions[completion.versions >= 0]
