# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling and scoring, overlapped: a completion goes to the reward workers as soon as its chunk ends."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from grpo_jax.config import RunConfig
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
        found: dict[tuple[int, int], tuple[Completion, Future[tuple[str, int]]]] = {}
        # One thread: decoding and a full queue of the pool hold up neither the device nor the order of submission.
        with ThreadPoolExecutor(1, thread_name_prefix="completion-text") as texts:
            try:
                for sample in self._engine.sample(weights, requests, num_samples, seed=self._config.seed, step=step):
                    prompt, completion = prompts[sample.request], sample.completion
                    queued = texts.submit(self._queue, prompt, completion, requests[sample.request], phase)
                    found[sample.request, sample.sample] = completion, queued
                sampled = time.perf_counter()
                queued_texts = {place: queued.result() for place, (_, queued) in found.items()}
            except BaseException:
                texts.shutdown(cancel_futures=True)
                done = [queued for _, queued in found.values() if not queued.cancelled() and not queued.exception()]
                self._pool.cancel([queued.result()[1] for queued in done])
                raise
        places = sorted(found)
        rewards = dict(zip(places, self._pool.collect([queued_texts[place][1] for place in places]), strict=True))
        groups = tuple(
            RolloutGroup(
                prompt,
                tuple(
                    Rollout(found[p, s][0], queued_texts[p, s][0], rewards[p, s], policy_version)
                    for s in range(num_samples)
                ),
            )
            for p, prompt in enumerate(prompts)
        )
        return Collected(
            groups=groups,
            sampled_tokens=sum(len(completion.token_ids) for completion, _ in found.values()),
            sampling_seconds=sampled - start,
            reward_wait_seconds=time.perf_counter() - sampled,
        )

    def _queue(
        self, prompt: Prompt, completion: Completion, request: SampleRequest, phase: int | None
    ) -> tuple[str, int]:
        """Text of a completion, and the ticket under which it waits to be scored."""
        text = cut_at_stop(self._tokenizer.decode(completion.token_ids.tolist()), request.stop_strings)
        return text, self._pool.submit(prompt.problem, text, phase)
