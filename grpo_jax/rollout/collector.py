# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling and scoring, overlapped: a completion goes to the reward workers as soon as its chunk ends."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import jax

from grpo_jax.config import RunConfig
from grpo_jax.parallel.processes import exchange
from grpo_jax.records import Completion, Prompt, Rollout, RolloutGroup, Tokenizer
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.requests import request_of_prompt
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.request import SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.sampling.stop_strings import cut_at_stop


@dataclass(frozen=True)
class Collected:
    """The groups of one call, in the order of its prompts, and where the time went.

    Attributes:
        groups: One a prompt.
        sampled_tokens: Tokens of all completions.
        sampling_seconds: Wall time from the first prefill to the last token.
        reward_wait_seconds: Wall time from the last token to the last reward, decoding of the last texts included.
    """

    groups: tuple[RolloutGroup, ...]
    sampled_tokens: int
    sampling_seconds: float
    reward_wait_seconds: float


class RolloutCollector:
    """Turns prompts into scored groups; holds no state between calls."""

    def __init__(self, config: RunConfig, engine: SamplingEngine, pool: RewardPool, tokenizer: Tokenizer):
        self._config, self._engine, self._pool, self._tokenizer = config, engine, pool, tokenizer

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
        requests = [request_of_prompt(self._config, prompt, temperature) for prompt in prompts]
        completions: dict[tuple[int, int], Completion] = {}
        scoring: dict[tuple[int, int], Future[tuple[str, int]]] = {}
        host, num_hosts = jax.process_index(), jax.process_count()
        # One thread: decoding and a full queue of the pool hold up neither the device nor the order of submission.
        with ThreadPoolExecutor(1, thread_name_prefix="completion-text") as texts:
            try:
                for sample in self._engine.sample(weights, requests, num_samples, seed=self._config.seed, step=step):
                    prompt, place = prompts[sample.request], (sample.request, sample.sample)
                    completions[place] = sample.completion
                    # Every host samples in lockstep with the others; each scores its share of the prompts.
                    if sample.request % num_hosts == host:
                        request = requests[sample.request]
                        scoring[place] = texts.submit(self._queue, prompt, sample.completion, request, phase)
                sampled = time.perf_counter()
                queued = {place: future.result() for place, future in scoring.items()}
            except BaseException:
                texts.shutdown(cancel_futures=True)
                done = [future for future in scoring.values() if not future.cancelled() and not future.exception()]
                self._pool.cancel([future.result()[1] for future in done])
                raise
        rewards = self._pool.collect([ticket for _, ticket in queued.values()])
        own = {place: (text, reward) for (place, (text, _)), reward in zip(queued.items(), rewards, strict=True)}
        scored = {place: found for part in exchange(own) for place, found in part.items()}
        groups = tuple(
            RolloutGroup(
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
            sampled_tokens=sum(len(completion.token_ids) for completion in completions.values()),
            sampling_seconds=sampled - start,
            reward_wait_seconds=time.perf_counter() - sampled,
        )

    def _queue(
        self, prompt: Prompt, completion: Completion, request: SampleRequest, phase: int | None
    ) -> tuple[str, int]:
        """Text of a completion, and the ticket under which it waits to be scored."""
        text = cut_at_stop(self._tokenizer.decode(completion.token_ids.tolist()), request.stop_strings)
        return text, self._pool.submit(prompt.problem, text, phase)
