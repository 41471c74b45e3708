# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Held-out accuracy by domain, with the sampler and the rewards of training."""

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from grpo_jax.checkpoint.pretrained import is_published
from grpo_jax.checkpoint.run_weights import restore_params
from grpo_jax.config import RunConfig
from grpo_jax.data.loader import evaluation_prompts
from grpo_jax.evaluation.figures import domain_figures
from grpo_jax.models.lora import join
from grpo_jax.records import ConfigError, Prompt, RolloutGroup
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.rollout.functions import RolloutFunctions
from grpo_jax.rollout.session import open_session
from grpo_jax.sampling.serving import ServingWeights

NOISE_STEP = 2**31 - 1
"""Names the noise of sampled evaluation: the same at every evaluation of a run, and no training step's."""


class Evaluation(NamedTuple):
    """One evaluation of one policy.

    Attributes:
        figures: Metrics by name, all under `eval/`.
        groups: One a problem, with all completions.
    """

    figures: dict[str, float]
    groups: tuple[RolloutGroup, ...]


class Evaluator:
    """The same problems and settings at every call, so that evaluations of a run can be compared."""

    def __init__(self, config: RunConfig, collector: RolloutCollector, prompts: Mapping[str, Sequence[Prompt]]):
        """Keep what to ask.

        Args:
            config: Its `evaluation` section says how often and how to sample.
            collector: Samples and scores.
            prompts: Problems of each domain.
        """
        self._config, self._collector, self._prompts = config, collector, prompts

    def run(self, weights: ServingWeights, policy_version: int) -> Evaluation:
        """Evaluate one policy, at `evaluation.temperature` and with every reward on, whatever phase the run is in.

        Returns:
            The figures of every domain, as `figures.domain_figures` defines them, and what they were taken from.

        Raises:
            RuntimeError: Every check of a domain failed.
        """
        settings = self._config.evaluation
        prompts = [prompt for own in self._prompts.values() for prompt in own]
        lanes = self._config.data.prompts_per_step * self._config.sampling.group_size
        at_once = max(1, lanes // settings.samples_per_problem)
        groups: list[RolloutGroup] = []
        for first in range(0, len(prompts), at_once):
            collected = self._collector.collect(
                weights,
                prompts[first : first + at_once],
                num_samples=settings.samples_per_problem,
                step=NOISE_STEP,
                policy_version=policy_version,
                temperature=settings.temperature,
            )
            groups.extend(collected.groups)
        figures: dict[str, float] = {}
        for domain in self._prompts:
            own = [group for group in groups if group.prompt.problem.domain == domain]
            figures |= domain_figures(domain, own, settings)
        return Evaluation(figures, tuple(groups))


def evaluate(config: RunConfig, checkpoint: str | None) -> Evaluation:
    """Evaluate the config's model, or other weights in its place, on `data.eval_sources`.

    Args:
        config: The run.
        checkpoint: A run or a checkpoint of it; or weights as published: a Hugging Face folder or a `.gguf` file, whose
            own tokenizer is used then. None is the config's model before training.

    Raises:
        ConfigError: There is nothing to evaluate on, or the checkpoint does not fit the model.
    """
    if not config.data.eval_sources:
        raise ConfigError("data.eval_sources is empty; name at least one source to evaluate on")
    published = checkpoint if checkpoint is not None and is_published(checkpoint) else None
    if checkpoint is None or published:
        model = dataclasses.replace(config.model, lora=None, quantization="none", path=published or config.model.path)
        config = dataclasses.replace(config, model=model)
    session = open_session(config)
    prompts = evaluation_prompts(config.data, config.domains, session.tokenizer, config.evaluation.max_problems)
    params = session.params
    if checkpoint is not None and not published:
        trained = restore_params(checkpoint, session.trained_shapes)
        params = join(session.params, trained) if session.lora else trained
    with RewardPool(config.domains, config.rewards) as pool, closing(RolloutFunctions(config)) as functions:
        collector = RolloutCollector(config, session.engine, pool, session.tokenizer, functions)
        return Evaluator(config, collector, prompts).run(session.engine.serve(params), policy_version=0)
