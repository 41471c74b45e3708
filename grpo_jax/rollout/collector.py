# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling and scoring, overlapped: a completion goes to the reward workers as soon as it has ended.

Prompts of domains with a rollout function go to the dispatcher, the others straight to the sampler.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import jax

from grpo_jax.config import RunConfig
from grpo_jax.parallel.processes import exchange
from grpo_jax.records import Completion, Prompt, Rollout, RolloutGroup, Tokenizer
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.assembly import assemble
from grpo_jax.rollout.dispatcher import Dispatcher
from grpo_jax.rollout.functions import BoundFunction
from grpo_jax.rollout.requests import request_of_prompt, room_of
from grpo_jax.rollout.reward_queue import RewardQueue
from grpo_jax.rollout.scores import Scores
from grpo_jax.rollout.trajectory import Ended, Place
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.serving import ServingWeights


@dataclass(frozen=True)
class Collected:
    """The groups of one call, in the order of its prompts, and where the time went.

    Attributes:
        groups: One a prompt.
        sampled_tokens: Tokens that were sampled.
        sampling_seconds: Wall time from the first prefill to the last token.
        reward_wait_seconds: Wall time from the last token to the last reward, decoding of the last texts included.
    """

    groups: tuple[RolloutGroup, ...]
    sampled_tokens: int
    sampling_seconds: float
    reward_wait_seconds: float


class RolloutCollector:
    """Turns prompts into scored groups; holds no state between calls."""

    def __init__(
        self,
        config: RunConfig,
        engine: SamplingEngine,
        pool: RewardPool,
        tokenizer: Tokenizer,
        functions: Mapping[str, BoundFunction] | None = None,
    ):
        """Keep what works together.

        Args:
            config: The run.
            engine: The sampler.
            pool: Scores what is left to a domain's rewards.
            tokenizer: Of the model.
            functions: Rollout function of each domain that has one.
        """
        self._config, self._engine, self._pool, self._tokenizer = config, engine, pool, tokenizer
        self._functions = functions or {}
        self._queue = RewardQueue(config, tokenizer, pool)

    def collect(
        self,
        weights: ServingWeights,
        prompts: Sequence[Prompt],
        *,
        num_samples: int,
        step: int,
        policy_version: int,
        temperature: float | None = None,
        phase: int | None = None,
    ) -> Collected:
        """Sample and score `num_samples` completions of every prompt.

        Args:
            weights: Serving view of the policy.
            prompts: Each sets its temperature (its own or its domain's), its domain the limit, cuts and stops.
            num_samples: Completions of each prompt.
            step: Names the noise, with the run's seed.
            policy_version: Recorded on every rollout.
            temperature: Takes the place of every prompt's; 0 is greedy.
            phase: Number of the reward phase; None has every reward on.
        """
        start = time.perf_counter()
        played = {i: prompt for i, prompt in enumerate(prompts) if prompt.problem.domain in self._functions}
        single = [i for i in range(len(prompts)) if i not in played]
        requests = [request_of_prompt(self._config, prompts[i], temperature) for i in single]
        completions: dict[Place, Completion] = {}
        ended: dict[Place, Ended] = {}
        host, num_hosts = jax.process_index(), jax.process_count()
        samples = self._engine.sample(
            weights, requests, num_samples, seed=self._config.seed, step=step, policy_version=policy_version
        )
        with closing(Scores(self._pool)) as scores:
            for sample in samples:
                place = single[sample.request], sample.sample
                completions[place] = sample.completion
                # Every host samples in lockstep with the others; each scores its share of the prompts.
                if place[0] % num_hosts == host:
                    scores.put(place, partial(self._queue.completion, prompts[place[0]], sample.completion, phase))
            for one in self._play(weights, played, num_samples, step, policy_version, temperature):
                ended[one.place] = one
                if one.outcome is not None and one.outcome.reward is None:
                    scores.put(one.place, partial(self._queue.outcome, prompts[one.place[0]], one.outcome, phase))
            sampled = time.perf_counter()
            own = scores.take([*completions, *ended])
        scored = {place: found for part in exchange(own) for place, found in part.items()}
        groups = tuple(
            assemble(
                self._config, self._tokenizer, prompt, [ended[p, s] for s in range(num_samples)], scored, policy_version
            )
            if p in played
            else RolloutGroup(
                prompt,
                tuple(
                    Rollout(completions[p, s], text, reward, policy_version)
                    for s in range(num_samples)
                    for text, reward in [scored[p, s]]
                ),
            )
            for p, prompt in enumerate(prompts)
        )
        return Collected(
            groups=groups,
            sampled_tokens=sum(rollout.completion.num_sampled for group in groups for rollout in group.rollouts),
            sampling_seconds=sampled - start,
            reward_wait_seconds=time.perf_counter() - sampled,
        )

    def _play(
        self,
        weights: ServingWeights,
        played: Mapping[int, Prompt],
        num_samples: int,
        step: int,
        policy_version: int,
        temperature: float | None,
    ) -> Iterator[Ended]:
        """Run the rollout functions of these prompts."""
        if not played:
            return
        domains = [prompt.problem.domain for prompt in played.values()]
        room = replace(room_of(self._config, domains, self._config.data.max_prompt_tokens), num_samples=num_samples)
        with (
            Dispatcher(self._config, self._tokenizer, self._functions) as dispatcher,
            self._engine.open(
                weights, room=room, num_prompts=len(played), seed=self._config.seed, policy_version=policy_version
            ) as live,
        ):
            yield from dispatcher.play(played, num_samples, live, step=step, temperature=temperature)
