# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sampling and scoring, overlapped: a completion goes to the reward workers as soon as its chunk ends."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from grpo_jax.config import RunConfig
from grpo_jax.records import Completion, Prompt, Rollout, RolloutGroup, Tokenizer
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.request import SampleRequest
from grpo_jax.sampling.serving import ServingWeights


@dataclass(frozen=True)
class Collected:
    """The groups of one call, in the order of its prompts, and where the time went.

    Attributes:
        groups: One a prompt.
        sampled_tokens: Tokens of all completions.
        sampling_seconds: Wall time from the first prefill to the last token.
        reward_wait_seconds: Wall time from the last token to the last reward.
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
            prompts: Each sets its temperature (its own or its domain's), its domain the token limit.
            num_samples: Completions of each prompt.
            step: Names the noise, with the run's seed.
            policy_version: Recorded on every rollout.
            temperature: Takes the place of every prompt's; 0 is greedy.
            phase: Number of the reward phase; None has every reward on.
        """
        start = time.perf_counter()
        requests = [self._request(prompt, temperature) for prompt in prompts]
        found: dict[tuple[int, int], tuple[Completion, str, int]] = {}
        try:
            for sample in self._engine.sample(weights, requests, num_samples, seed=self._config.seed, step=step):
                text = self._tokenizer.decode(sample.completion.token_ids.tolist())
                ticket = self._pool.submit(prompts[sample.request].problem, text, phase)
                found[sample.request, sample.sample] = (sample.completion, text, ticket)
        except BaseException:
            self._pool.cancel([ticket for _, _, ticket in found.values()])
            raise
        sampled = time.perf_counter()
        places = sorted(found)
        rewards = dict(zip(places, self._pool.collect([found[place][2] for place in places]), strict=True))
        groups = tuple(
            RolloutGroup(
                prompt,
                tuple(
                    Rollout(found[p, s][0], found[p, s][1], rewards[p, s], policy_version) for s in range(num_samples)
                ),
            )
            for p, prompt in enumerate(prompts)
        )
        return Collected(
            groups=groups,
            sampled_tokens=sum(len(completion.token_ids) for completion, _, _ in found.values()),
            sampling_seconds=sampled - start,
            reward_wait_seconds=time.perf_counter() - sampled,
        )

    def _request(self, prompt: Prompt, temperature: float | None) -> SampleRequest:
        config, domain = self._config, prompt.problem.domain
        return SampleRequest(
            token_ids=prompt.token_ids,
            noise_id=prompt.problem.id,
            temperature=config.temperature_of_prompt(prompt) if temperature is None else temperature,
            max_tokens=config.max_completion_tokens_of(domain),
            top_p=config.sampling.top_p,
            top_k=config.sampling.top_k,
            min_p=config.sampling.min_p,
        )
