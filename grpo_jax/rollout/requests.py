# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From settings to what the sampler is asked for."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Int32

from grpo_jax.config import RunConfig
from grpo_jax.records import ConfigError, Prompt, Tokenizer
from grpo_jax.sampling.request import Room, SampleRequest
from grpo_jax.sampling_config import CompletionSettings


def request_of_prompt(
    config: RunConfig, prompt: Prompt, temperature: float | None = None, attempt: int = 0
) -> SampleRequest:
    """The request of a drawn prompt, by its domain's settings.

    Args:
        config: The run.
        prompt: Its own temperature, where the curriculum gave it one, goes before its domain's.
        temperature: Takes the place of both; 0 is greedy.
        attempt: Times that its samples were given up before; each has noise of its own.
    """
    if temperature is None:
        temperature = config.temperature_of_prompt(prompt)
    settings = config.sampling_of(prompt.problem.domain)
    noise_id = f"{prompt.problem.id}/again{attempt}" if attempt else prompt.problem.id
    return make_request(prompt.token_ids, noise_id, settings, temperature)


def make_request(
    token_ids: Int32[np.ndarray, " T"], noise_id: str, settings: CompletionSettings, temperature: float
) -> SampleRequest:
    """A request by the settings; greedy ones have no cuts, which leave the most probable token in any case."""
    cuts: dict[str, Any] = {}
    if temperature > 0:
        cuts = {"top_p": settings.top_p, "top_k": settings.top_k, "min_p": settings.min_p}
    return SampleRequest(
        token_ids=token_ids,
        noise_id=noise_id,
        temperature=temperature,
        max_tokens=settings.max_completion_tokens,
        stop_ids=settings.stop_token_ids,
        stop_strings=settings.stop,
        **cuts,
    )


def room_of(config: RunConfig, domains: Iterable[str], prompt_tokens: int) -> Room:
    """What requests of these domains will need at most, where a step samples whole groups."""
    settings = [config.sampling_of(domain) for domain in domains]
    return Room(
        num_samples=config.sampling.group_size,
        prompt_tokens=prompt_tokens,
        completion_tokens=max(own.max_completion_tokens for own in settings),
        stop_ids=max(len(own.stop_token_ids) for own in settings),
    )


def check_stops(config: RunConfig, tokenizer: Tokenizer) -> None:
    """Refuse stops that could never be met.

    Raises:
        ConfigError: A stop string is a special token, whose text no completion shows, or a stop id is none of the
            vocabulary.
    """
    sections: list[tuple[str, CompletionSettings]] = [("sampling", config.sampling)]
    sections += [(f"domains.{name}", config.sampling_of(name)) for name in config.domains]
    for where, settings in sections:
        for string in settings.stop:
            ids = tokenizer.encode(string)
            if string.strip() and not tokenizer.decode(ids).strip():
                raise ConfigError(
                    f"{where}.stop holds {string!r}, a special token, which is no text; "
                    f"use {where}.stop_token_ids={','.join(map(str, ids))}"
                )
        for token_id in settings.stop_token_ids:
            if token_id >= tokenizer.vocab_size:
                largest = tokenizer.vocab_size - 1
                raise ConfigError(f"{where}.stop_token_ids holds {token_id}, but the tokenizer's ids end at {largest}")
