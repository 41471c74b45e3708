# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The problems of a run by domain: gathered over its sources, sorted into buckets, and how many steps they make."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int8

from grpo_jax.config import DataConfig, Domain, RunConfig
from grpo_jax.data.difficulty import difficulty_score, first_number, sort_into_buckets
from grpo_jax.data.domain_stream import DomainProblems
from grpo_jax.data.overlap import count_duplicates
from grpo_jax.data.sources import ProblemSource, open_sources
from grpo_jax.records import ConfigError


def training_problems(config: RunConfig) -> tuple[list[ProblemSource], dict[str, DomainProblems]]:
    """Open `data.train_sources`; the problems of the domains to train on, in the order of `domains`.

    Raises:
        ConfigError: A source cannot be used, names a domain that `domains` lacks, or a domain has no source.
    """
    settings = config.data
    if not settings.train_sources:
        raise ConfigError("data.train_sources is empty; name at least one source as domain::dataset@split")
    sources = open_sources(
        settings.train_sources,
        "data.train_sources",
        "train",
        settings.max_train_samples,
        settings.skip_bad_rows,
        settings.max_total_train_samples,
    )
    count_duplicates(sources)
    problems = problems_by_domain(sources, config.domains)
    wanted = settings.train_domains or tuple(config.domains)
    for name in wanted:
        if name not in problems:
            raise ConfigError(
                f"domain {name} has no rows in data.train_sources; add a source {name}::... or remove the domain"
            )
    return sources, {name: own for name, own in problems.items() if name in wanted}


def evaluation_sources(settings: DataConfig) -> list[ProblemSource]:
    """Open `data.eval_sources`."""
    return open_sources(settings.eval_sources, "data.eval_sources", "test", skip_bad_rows=settings.skip_bad_rows)


def problems_by_domain(sources: Sequence[ProblemSource], domains: Mapping[str, Domain]) -> dict[str, DomainProblems]:
    """Gather each domain's rows over the sources, in the order of `domains`; domains without rows are left out.

    Raises:
        ConfigError: A source has a domain that `domains` lacks.
    """
    parts: dict[str, list[tuple[ProblemSource, np.ndarray]]] = {}
    for source in sources:
        for name, indices in source.rows_by_domain().items():
            if name not in domains:
                raise ConfigError(
                    f"source {source.spec.text!r} has domain {name!r}, which domains lacks "
                    f"(it has {', '.join(domains) or 'none'})"
                )
            parts.setdefault(name, []).append((source, indices))
    return {name: DomainProblems(name, domains[name], parts[name]) for name in domains if name in parts}


def buckets_by_domain(
    config: RunConfig, problems: Mapping[str, DomainProblems]
) -> dict[str, Int8[np.ndarray, " problems"]]:
    """Bucket number of each problem, for the domains with a difficulty rule; reads all of their rows, or one column.

    Raises:
        ConfigError: A problem has no score and its rule calls that an error.
    """
    percentiles = config.curriculum.difficulty.percentiles
    found = {}
    for name, own in problems.items():
        rule = config.domains[name].difficulty
        if rule is not None:
            values = own.field_values(rule.key or "difficulty") if rule.rule == "field" else None
            scores = [math.nan] * len(own) if values is None else [first_number(value) for value in values]
            for index in np.flatnonzero(np.isnan(scores)).tolist():
                scores[index] = difficulty_score(own[index], rule)
            found[name] = sort_into_buckets(scores, percentiles)
    return found


def steps_of_run(config: RunConfig, num_problems: Mapping[str, int]) -> int:
    """Steps of the outer loop: `training.max_steps`, or as many as `training.num_train_epochs` passes take.

    A pass draws as many prompts as there are problems, overlong ones included, rounded up to whole steps.
    """
    if config.training.max_steps is not None:
        return config.training.max_steps
    steps_per_epoch = -(-sum(num_problems.values()) // config.data.prompts_per_step)
    return max(1, round(config.training.num_train_epochs * steps_per_epoch))
