# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run's first rollouts will ask of the sampler, before anything is drawn."""

from grpo_jax.config import RunConfig
from grpo_jax.models.transformer import Params
from grpo_jax.parallel.compile_ahead import CompileAhead
from grpo_jax.rollout.requests import room_of
from grpo_jax.sampling.engine import SamplingEngine


def compile_first_rollouts(
    config: RunConfig, thread: CompileAhead, longest_prompt: int, engine: SamplingEngine, params: Params
) -> None:
    """Have the programs compiled that sample a step's prompts.

    Where a domain has a rollout function nothing is: how many prompts are sampled at once is its own affair.

    Args:
        config: The run.
        thread: Compiles them.
        longest_prompt: Likely length of a step's longest prompt, in tokens.
        engine: The sampler.
        params: Shapes of the policy's weights.
    """
    if not thread.enabled or any(domain.rollout is not None for domain in config.domains.values()):
        return
    goes_on = config.rollout.max_staleness or config.sampling.carry_over
    room = room_of(config, config.domains, config.data.max_prompt_tokens if goes_on else longest_prompt)
    engine.compile_ahead(thread, params, room=room, num_prompts=config.data.prompts_per_step)
