# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The evaluations of a run while it trains: after which steps, and what is kept of each."""

from grpo_jax.config import RunConfig
from grpo_jax.data.loader import evaluation_prompts
from grpo_jax.evaluation.evaluator import Evaluator
from grpo_jax.evaluation.examples import truncate_examples, write_examples
from grpo_jax.evaluation.forgetting import BestSoFar
from grpo_jax.parallel.processes import is_main
from grpo_jax.records import ConfigError, Tokenizer
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.tracking.run_folder import RunFolder


class RunEvaluations:
    """Ask `due` after every step, and of step 0 before the first."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        total_steps: int,
        collector: RolloutCollector,
        tokenizer: Tokenizer,
    ) -> None:
        """Read the problems, where the run's `evaluation` section asks for any.

        Args:
            config: The run.
            folder: Its folder.
            total_steps: Of the whole run; the last one is always evaluated.
            collector: Samples and scores.
            tokenizer: Of the model.

        Raises:
            ConfigError: There is nothing to evaluate on.
        """
        self._settings, self._folder, self._total_steps = config.evaluation, folder.evaluations, total_steps
        self.best = BestSoFar()
        """What forgetting is measured by; part of the checkpoint."""
        self._evaluator = None
        if not self._settings.every_steps:
            return
        if not config.data.eval_sources:
            raise ConfigError(
                f"evaluation.every_steps={self._settings.every_steps} but data.eval_sources is empty; "
                "name a source or set evaluation.every_steps=0"
            )
        prompts = evaluation_prompts(config.data, config.domains, tokenizer, self._settings.max_problems)
        self._evaluator = Evaluator(config, collector, prompts)

    def due(self, step: int) -> bool:
        """Whether the policy is to be evaluated after a step; 0 is before training."""
        every = self._settings.every_steps
        if not every:
            return False
        return self._settings.before_training if step == 0 else step % every == 0 or step == self._total_steps

    def run(self, weights: ServingWeights, step: int, policy_version: int) -> dict[str, float]:
        """Evaluate, and write the completions where `evaluation.keep_examples` asks for them.

        Returns:
            Metrics below `eval/` and `forgetting/`.

        Raises:
            RuntimeError: Every check of a domain failed.
        """
        assert self._evaluator is not None
        evaluation = self._evaluator.run(weights, policy_version)
        if self._settings.keep_examples and is_main():
            write_examples(self._folder / f"step-{step:06d}.parquet", evaluation.groups)
        return {**evaluation.figures, **self.best.observe(evaluation.figures)}

    def truncate_after(self, step: int) -> None:
        """Delete what was written of steps after `step`, which a resumed run evaluates again; -1 deletes all."""
        truncate_examples(self._folder, step)
