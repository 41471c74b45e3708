# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that names the problems and how they are mixed, and its checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from grpo_jax.records import ConfigError


@dataclass(frozen=True)
class DataConfig:
    """Where problems come from and how many a step takes."""

    train_sources: tuple[str, ...] = ()
    """`domain::dataset@split`; the dataset is a .parquet or .jsonl file or glob, a folder of such files (the planning
    layout too), a Hugging Face dataset name, or `reasoning_gym/TASK?parameter=value&...`. Of
    `NAME?streaming=True&rows=N` only the first N rows are fetched. A domain left out is taken from each row."""
    train_domains: tuple[str, ...] = ()
    """Domains to train on; the others are only evaluated. Empty is all of them."""
    eval_sources: tuple[str, ...] = ()
    """Like `train_sources`; never trained on."""
    max_train_samples: int | None = None
    """Keep at most this many rows of each training source, its first ones."""
    max_total_train_samples: int | None = None
    """Keep at most this many rows of all training sources together, of each in proportion to what it has."""
    skip_bad_rows: bool = False
    """Leave rows out that cannot be used, each with a line in the log, instead of refusing to start."""
    prompts_per_step: int = 8
    """Prompts a step, over all domains; each is sampled `sampling.group_size` times."""
    max_prompt_tokens: int = 512
    """Longest prompt, chat template included."""
    overlong_prompts: Literal["drop", "truncate", "error"] = "drop"
    """`drop` leaves longer prompts out; `truncate` cuts the middle of the user's text; both are counted by domain.
    `error` stops at the first."""
    mixing: Literal["weighted", "balanced", "proportional", "sequential", "concat", "annealed"] = "weighted"
    """`weighted` follows `Domain.weight`, exactly over time; `balanced` gives every domain equal counts over time;
    `proportional` goes by dataset sizes; `sequential` draws one domain after another, in their order; `concat` shuffles
    all problems as one dataset; `annealed` moves from `Domain.weight` to `anneal_to`."""
    strict: bool = False
    """`balanced` only where every batch can hold equal counts."""
    sequential_spans: Literal["equal", "weighted"] = "equal"
    """Whether `sequential` gives domains equal spans of the run or spans by `Domain.weight`."""
    anneal_to: Mapping[str, float] = field(default_factory=dict)
    """Domain -> weight that `annealed` arrives at, all domains named; 0 fades one out."""
    anneal_from: float = 0.0
    """Progress (steps done / steps in all) at which `annealed` begins to move."""
    anneal_until: float = 1.0
    """Progress at which it has arrived."""


def check_mixing(data: DataConfig, weights: Mapping[str, float], learned: bool) -> None:
    """Check the mix against the domains.

    Args:
        data: The section.
        weights: Of each domain.
        learned: Whether success rates move the weights.

    Raises:
        ConfigError: A field is out of range or does not fit the domains; the message names it.
    """
    prompts, num = data.prompts_per_step, len(weights)
    if data.strict and data.mixing == "balanced" and num and prompts % num:
        near = [size for size in (prompts // num * num, (prompts // num + 1) * num) if size]
        raise ConfigError(
            f"data.prompts_per_step={prompts} cannot be shared equally by {num} domains (data.strict=true); "
            f"the nearest sizes that work: {' and '.join(map(str, near))}"
        )
    if learned and data.mixing in ("sequential", "concat"):
        raise ConfigError(f"curriculum.adaptive.domain_weights=true has no weights to change in mixing={data.mixing}")
    if data.mixing != "annealed":
        return
    if not 0 <= data.anneal_from < data.anneal_until <= 1:
        raise ConfigError(
            f"data.anneal_from={data.anneal_from} and data.anneal_until={data.anneal_until} must ascend within 0 to 1"
        )
    for name in weights:
        if name not in data.anneal_to:
            raise ConfigError(f"data.anneal_to lacks domain {name}; give it a weight, 0 to fade it out")
    for name, weight in data.anneal_to.items():
        if name not in weights:
            raise ConfigError(f"data.anneal_to names {name!r}, which domains lacks (it has {', '.join(weights)})")
        if weight < 0:
            raise ConfigError(f"data.anneal_to.{name}={weight} must be at least 0")
    if weights and not (any(weights.values()) and any(data.anneal_to.values())):
        raise ConfigError("data.mixing=annealed needs a weight above 0 among domains and in data.anneal_to")
