# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Held-out accuracy by domain, with the sampler and the rewards of training."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from grpo_jax.checkpoint.run_weights import restore_params
from grpo_jax.config import RunConfig
from grpo_jax.data.loader import evaluation_prompts
from grpo_jax.models.lora import join
from grpo_jax.records import ConfigError, Prompt, RewardStatus, RolloutGroup
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.rollout.session import open_session
from grpo_jax.sampling.serving import ServingWeights

NOISE_STEP = 2**31 - 1
"""Names the noise of sampled evaluation: the same at every evaluation of a run, and no training step's."""


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

    def run(self, weights: ServingWeights, policy_version: int) -> dict[str, float]:
        """Evaluate one policy, at `evaluation.temperature` and with every reward on, whatever phase the run is in.

        Returns:
            For each domain `eval/{domain}/pass@1` and `/reward`, over the completions whose checker did not fail, and
            `/invalid`, `/length` and `/truncated` over all.

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
        metrics: dict[str, float] = {}
        for domain in self._prompts:
            own = [r for group in groups if group.prompt.problem.domain == domain for r in group.rollouts]
            totals = [rollout.reward.total for rollout in own if rollout.reward.total is not None]
            if not totals:
                reason = own[0].reward.reason
                raise RuntimeError(f"every evaluated completion of {domain} was invalid, the first with {reason!r}")
            passed = sum(rollout.reward.status == RewardStatus.PASS for rollout in own)
            metrics[f"eval/{domain}/pass@1"] = passed / len(totals)
            metrics[f"eval/{domain}/reward"] = float(np.mean(totals))
            metrics[f"eval/{domain}/invalid"] = 1 - len(totals) / len(own)
            metrics[f"eval/{domain}/length"] = float(np.mean([len(r.completion.token_ids) for r in own]))
            metrics[f"eval/{domain}/truncated"] = float(np.mean([r.completion.finish_reason == "length" for r in own]))
        return metrics


def evaluate(config: RunConfig, checkpoint: str | None) -> dict[str, float]:
    """Evaluate the config's model, or the weights of a run or checkpoint of it, on `data.eval_sources`.

    Raises:
        ConfigError: There is nothing to evaluate on, or the checkpoint does not fit the model.
    """
    if not config.data.eval_sources:
        raise ConfigError("data.eval_sources is empty; name at least one source to evaluate on")
    if checkpoint is None:
        config = dataclasses.replace(config, model=dataclasses.replace(config.model, lora=None))
    session = open_session(config)
    prompts = evaluation_prompts(config.data, config.domains, session.tokenizer, config.evaluation.max_problems)
    params = session.params
    if checkpoint is not None:
        trained = restore_params(checkpoint, session.trained_shapes)
        params = join(session.params, trained) if session.lora else trained
    with RewardPool(config.domains, config.rewards) as pool:
        collector = RolloutCollector(config, session.engine, pool, session.tokenizer)
        return Evaluator(config, collector, prompts).run(session.engine.serve(params), policy_version=0)
