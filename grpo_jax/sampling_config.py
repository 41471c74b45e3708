# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that says how completions are drawn, and what of it a domain may set for itself."""

from dataclasses import dataclass

from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class CompletionSettings:
    """What decides one completion; every field may differ by domain."""

    temperature: float = 1.0
    """0 is greedy. The trainer's logprobs are taken at the same temperature."""
    top_p: float = 1.0
    """Smallest set of tokens whose probability reaches this; 1 is off."""
    top_k: int = 0
    """Only this many most probable tokens; 0 is off."""
    min_p: float = 0.0
    """Only tokens at least this fraction as probable as the most probable one; 0 is off."""
    max_completion_tokens: int = 512
    """Token limit of completions."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion. The token that completes one is the last that is trained on; the text that
    rewards see ends before the string."""
    stop_token_ids: tuple[int, ...] = ()
    """Further ids that end a completion, beside the model's own."""


@dataclass(frozen=True)
class SamplingConfig(CompletionSettings):
    """How completions are drawn."""

    group_size: int = 8
    """Completions of each prompt (G); the advantage compares them with each other."""
    slots: int | None = None
    """Prompts decoded at the same time on all devices; None takes a whole step at once."""
    lanes: int | None = None
    """Samples decoded at the same time on all devices; None takes as many as fit the devices' free memory."""
    chunk_tokens: int = 32
    """Decode steps of one device program; finished rows leave the batch between programs."""
    carry_over: bool = False
    """Let completions that are unfinished when a step has enough groups go on in the next step, with the
    log-probabilities that they were sampled with; needs `objective.correction`."""


def check_sampling(sampling: SamplingConfig) -> None:
    """Check ranges of the run-wide section.

    Raises:
        ConfigError: A value is out of range; the message names it.
    """
    if sampling.group_size < 2:
        raise ConfigError(f"sampling.group_size={sampling.group_size} leaves nothing to compare; use at least 2")
    for name in ("chunk_tokens", "slots", "lanes"):
        value = getattr(sampling, name)
        if value is not None and value <= 0:
            raise ConfigError(f"sampling.{name}={value} must be above 0")
    check_completions(sampling, "sampling")


def check_completions(settings: CompletionSettings, where: str) -> None:
    """Check ranges of what decides a completion.

    Args:
        settings: Run-wide, or those of one domain.
        where: Path of the section, for the message.

    Raises:
        ConfigError: A value is out of range; the message names it.
    """
    if settings.temperature <= 0:
        raise ConfigError(
            f"{where}.temperature={settings.temperature} must be above 0 for training; greedy groups have no variance"
        )
    if not 0 < settings.top_p <= 1:
        raise ConfigError(f"{where}.top_p={settings.top_p} must be in (0, 1]; 1 is off")
    if settings.top_k < 0:
        raise ConfigError(f"{where}.top_k={settings.top_k} must be at least 0; 0 is off")
    if not 0 <= settings.min_p < 1:
        raise ConfigError(f"{where}.min_p={settings.min_p} must be in [0, 1); 0 is off")
    if settings.max_completion_tokens <= 0:
        raise ConfigError(f"{where}.max_completion_tokens={settings.max_completion_tokens} must be above 0")
    if "" in settings.stop:
        raise ConfigError(f"{where}.stop holds an empty string, which would end every completion at once; remove it")
    for token_id in settings.stop_token_ids:
        if token_id < 0:
            raise ConfigError(f"{where}.stop_token_ids holds {token_id}; an id is at least 0")
