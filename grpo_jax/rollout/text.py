# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Completions of one text prompt, for `grpo-jax sample`."""

import dataclasses
from typing import Any

import numpy as np

from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.config import RunConfig
from grpo_jax.records import ConfigError
from grpo_jax.rollout.requests import make_request
from grpo_jax.rollout.session import open_session
from grpo_jax.sampling.stop_strings import cut_at_stop


def sample_text(config: RunConfig, prompt: str, num_samples: int, temperature: float | None) -> list[dict[str, Any]]:
    """Sample completions of one user message with the config's model and sampling settings.

    Args:
        config: `data` and `domains` are not used.
        prompt: The user's message; the model's chat template goes around it.
        num_samples: Completions wanted.
        temperature: Takes the place of `sampling.temperature`; 0 is greedy.

    Returns:
        For each completion `text` (up to a stop string), `token_ids`, `logprobs` (of the untruncated distribution) and
        `finish_reason`.

    Raises:
        ConfigError: The prompt and `sampling.max_completion_tokens` exceed the model's context, or the temperature is
            negative.
    """
    if temperature is not None and temperature < 0:
        raise ConfigError(f"--temperature {temperature} must be at least 0; 0 is greedy")
    model = load_published(config.model.path)
    token_ids = np.asarray(model.tokenizer.encode_chat([{"role": "user", "content": prompt}]), np.int32)
    room = model.architecture.max_positions - len(token_ids)
    if config.sampling.max_completion_tokens > room:
        raise ConfigError(
            f"sampling.max_completion_tokens={config.sampling.max_completion_tokens} after a prompt of "
            f"{len(token_ids)} tokens exceeds the model's context; at most {room} fit"
        )
    data = dataclasses.replace(config.data, max_prompt_tokens=len(token_ids))
    base = dataclasses.replace(config.model, lora=None, quantization="none")
    session = open_session(dataclasses.replace(config, model=base, data=data, domains={}), model)
    request = make_request(
        token_ids, prompt, config.sampling, config.sampling.temperature if temperature is None else temperature
    )
    samples = session.engine.sample(
        session.engine.serve(session.params), [request], num_samples, seed=config.seed, step=0
    )
    return [
        {
            "text": cut_at_stop(session.tokenizer.decode(sample.completion.token_ids.tolist()), request.stop_strings),
            "token_ids": sample.completion.token_ids.tolist(),
            "logprobs": sample.completion.sampler_logprobs.tolist(),
            "finish_reason": sample.completion.finish_reason,
        }
        for sample in sorted(samples, key=lambda sample: sample.sample)
    ]
