# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The way of what was sampled to the reward workers: as text, with what they need to know beside it."""

from dataclasses import replace

from grpo_jax.config import RunConfig
from grpo_jax.records import Completion, Prompt, Tokenizer
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.trajectory import Outcome
from grpo_jax.sampling.stop_strings import cut_at_stop


class RewardQueue:
    """Puts completions and trajectories into the pool's queue; any thread may use it."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, pool: RewardPool):
        self._config, self._tokenizer, self._pool = config, tokenizer, pool

    def completion(self, prompt: Prompt, completion: Completion, phase: int | None) -> tuple[str, int]:
        """Text of a completion, and the ticket under which it waits to be scored."""
        stops = self._config.sampling_of(prompt.problem.domain).stop
        text = cut_at_stop(self._tokenizer.decode(completion.token_ids.tolist()), stops)
        return text, self._pool.submit(prompt.problem, text, phase)

    def outcome(self, prompt: Prompt, outcome: Outcome, phase: int | None) -> tuple[str, int]:
        """The same for a trajectory that is left to the domain's rewards."""
        text = outcome.turn.text if outcome.answer is None else outcome.answer
        problem = replace(prompt.problem, extra={**prompt.problem.extra, **outcome.detail})
        return text, self._pool.submit(problem, text, phase)
