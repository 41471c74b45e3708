# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The prompts that a benchmark samples from, and completions of known lengths for them."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from grpo_jax.bench.lengths import forced_stops, lognormal_lengths
from grpo_jax.config import RunConfig
from grpo_jax.data.loader import ProblemLoader
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.records import ConfigError, Problem, Prompt
from grpo_jax.rollout.requests import request_of_prompt
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.request import Sample, SampleRequest
from grpo_jax.sampling.serving import ServingWeights

STEP = 0
"""Names the noise of every rollout here: the second says what the first said."""
_SLACK_TOKENS = 16
"""Room behind the wanted end of a completion for a token that may end it."""


@dataclass(frozen=True)
class Workload:
    """One step's sampling.

    Attributes:
        prompts: In order.
        requests: One a prompt.
    """

    prompts: tuple[Prompt, ...]
    requests: tuple[SampleRequest, ...]

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts, each once."""
        return sum(len(request.token_ids) for request in self.requests)


def config_workload(config: RunConfig, tokenizer: HuggingFaceTokenizer) -> Workload:
    """The prompts of the config's first step, with its limits and stops."""
    if not config.domains:
        raise ConfigError("domains is empty: --lengths config needs the config's own problems; use --lengths lognormal")
    prompts = tuple(next(iter(ProblemLoader(config, tokenizer))))
    return Workload(prompts, tuple(request_of_prompt(config, prompt) for prompt in prompts))


def synthetic_workload(config: RunConfig, vocab_size: int) -> Workload:
    """`data.prompts_per_step` prompts of `data.max_prompt_tokens` random ids, over the domains in turn."""
    rng, names = np.random.default_rng(config.seed), [*config.domains]
    prompts = tuple(
        Prompt(
            Problem(f"bench#{number}", names[number % len(names)], (), None),
            rng.integers(0, vocab_size, config.data.max_prompt_tokens).astype(np.int32),
        )
        for number in range(config.data.prompts_per_step)
    )
    return Workload(prompts, tuple(request_of_prompt(config, prompt) for prompt in prompts))


def with_lengths(
    workload: Workload, engine: SamplingEngine, weights: ServingWeights, num_samples: int, mean: float, seed: int
) -> Workload:
    """The workload with stop ids that give its completions lognormal lengths; samples everything once without a stop.

    Args:
        workload: Its token limits bound the lengths.
        engine: Without stop ids of its own.
        weights: From its `serve`.
        num_samples: Completions of each prompt.
        mean: Of the lengths, in tokens.
        seed: Of lengths and noise.
    """
    limits = [request.max_tokens for request in workload.requests]
    drawn = lognormal_lengths(len(limits) * num_samples, mean, max(limits), seed).reshape(-1, num_samples)
    wanted = np.minimum(drawn, np.array(limits)[:, None])
    free = [
        dataclasses.replace(request, max_tokens=min(limit, int(own.max()) + _SLACK_TOKENS))
        for request, limit, own in zip(workload.requests, limits, wanted, strict=True)
    ]
    said = by_request(engine.sample(weights, free, num_samples, seed=seed, step=STEP))
    stops = [
        forced_stops([sample.completion.token_ids for sample in samples], own.tolist())[0]
        for samples, own in zip(said, wanted, strict=True)
    ]
    requests = [
        dataclasses.replace(request, stop_ids=ids) for request, ids in zip(workload.requests, stops, strict=True)
    ]
    return dataclasses.replace(workload, requests=tuple(requests))


def by_request(samples: Iterable[Sample]) -> list[list[Sample]]:
    """The samples of each request, in their order."""
    found: dict[int, list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: (sample.request, sample.sample)):
        found.setdefault(sample.request, []).append(sample)
    return [*found.values()]
