# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The Grain dataset of training prompts, one batch a step, and the prompts to evaluate on.

Batch k is a pure function of (seed, k), settings and sources: quotas say how many prompts each domain gets, running
counts say which of its endless sequence, and a permutation by (seed, k) says in which order. Batches are made when
asked for, in the calling thread: the tokenizers behind `records.Tokenizer` are not safe to share between threads.
"""

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from grpo_jax.config import DataConfig, Domain
from grpo_jax.data.domain_stream import DomainProblems, DomainStream, PromptEncoder
from grpo_jax.data.mixing import Quotas
from grpo_jax.data.overlap import refuse_overlap
from grpo_jax.data.permutation import permutation
from grpo_jax.data.sources import ProblemSource, open_sources
from grpo_jax.records import ConfigError, Prompt, Tokenizer

Batch = tuple[Prompt, ...]


class StepBatches:
    """Random access to the batches of all steps, as a Grain data source.

    Args:
        streams: The sequence of prompts of each domain.
        quotas: How many of each a step takes.
        seed: The run's seed.
    """

    def __init__(self, streams: Mapping[str, DomainStream], quotas: Quotas, seed: int) -> None:
        self._streams = streams
        self._quotas = quotas
        self._seed = seed

    def __len__(self) -> int:
        return sys.maxsize  # The sequence has no end; the training loop knows when to stop.

    def __getitem__(self, index: int) -> Batch:
        start, stop = self._quotas.cumulative(index), self._quotas.cumulative(index + 1)
        prompts = [
            stream[position] for name, stream in self._streams.items() for position in range(start[name], stop[name])
        ]
        return tuple(prompts[i] for i in permutation(len(prompts), "batch", self._seed, index))


class ProblemLoader:
    """Iterates over the batches of a run, from any step.

    With `data.overlong_prompts=error` all prompts are tokenised here, so that a run does not stop on one later.

    Args:
        settings: The run's data section.
        domains: The run's domains.
        tokenizer: Makes the token ids of prompts.
        seed: The run's seed.

    Raises:
        ConfigError: A source cannot be used, names a domain that `domains` lacks, or a domain has no source; a problem
            stands in both training and evaluation sources; a prompt is too long and such are errors.
    """

    def __init__(self, settings: DataConfig, domains: Mapping[str, Domain], tokenizer: Tokenizer, seed: int) -> None:
        if not settings.train_sources:
            raise ConfigError("data.train_sources is empty; name at least one source as domain::dataset@split")
        sources = open_sources(settings.train_sources, "data.train_sources", "train", settings.max_train_samples)
        problems = _problems_by_domain(sources, domains)
        for name in domains:
            if name not in problems:
                raise ConfigError(
                    f"domain {name} has no rows in data.train_sources; add a source {name}::... or remove the domain"
                )
        refuse_overlap(sources, open_sources(settings.eval_sources, "data.eval_sources", "test"))
        encode = PromptEncoder(tokenizer, settings.max_prompt_tokens, settings.overlong_prompts)
        if settings.overlong_prompts == "error":
            for own in problems.values():
                for index in range(len(own)):
                    encode(own[index])
        weights = {name: 1.0 if settings.mixing == "balanced" else domains[name].weight for name in problems}
        self._settings, self._seed = settings, seed
        self._problems = problems
        self._streams = {name: DomainStream(own, encode, seed) for name, own in problems.items()}
        batches = StepBatches(self._streams, Quotas(weights, settings.prompts_per_step), seed)
        in_this_thread = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        self._iterator = iter(grain.MapDataset.source(batches).to_iter_dataset(in_this_thread))

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The prompts of the next step, `data.prompts_per_step` of them, domains in shuffled order."""
        return next(self._iterator)

    @property
    def num_problems(self) -> dict[str, int]:
        """Problems by domain, overlong ones included: a number known before anything is tokenised."""
        return {name: len(own) for name, own in self._problems.items()}

    @property
    def num_dropped(self) -> dict[str, int]:
        """Overlong problems by domain found so far; all of them once the domain's first pass is over."""
        return {name: stream.num_dropped for name, stream in self._streams.items()}

    @property
    def steps_per_epoch(self) -> int:
        """Steps that draw as many prompts as there are problems (overlong ones included), rounded up."""
        return -(-sum(self.num_problems.values()) // self._settings.prompts_per_step)

    def state(self) -> dict[str, Any]:
        """The position, as JSON values; `restore` continues with the batch that would come next."""
        return {
            "iterator": copy.deepcopy(self._iterator.get_state()),
            "seed": self._seed,
            "num_problems": self.num_problems,
            "max_prompt_tokens": self._settings.max_prompt_tokens,
            "streams": {name: stream.state() for name, stream in self._streams.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken.

        Raises:
            ConfigError: Seed or sources are others than those of the state, so that the sequence would break.
        """
        for field, now in (("seed", self._seed), ("num_problems", self.num_problems)):
            if state[field] != now:
                raise ConfigError(
                    f"the checkpoint's data had {field}={state[field]}, this run has {now}; "
                    "restore the old sources and seed, or start afresh with --resume never"
                )
        if state["max_prompt_tokens"] == self._settings.max_prompt_tokens:
            for name, found in state["streams"].items():
                self._streams[name].restore(found)
        self._iterator.set_state(copy.deepcopy(state["iterator"]))


def evaluation_prompts(
    settings: DataConfig, domains: Mapping[str, Domain], tokenizer: Tokenizer, max_problems: int | None
) -> dict[str, tuple[Prompt, ...]]:
    """The prompts of `data.eval_sources` by domain, the same ones for every seed, in the order of the sources.

    Args:
        settings: The run's data section.
        domains: The run's domains.
        tokenizer: Makes the token ids of prompts.
        max_problems: At most this many of each domain, drawn evenly; overlong ones are replaced by others.

    Returns:
        Domain -> prompts; domains without a source are left out.

    Raises:
        ConfigError: A source cannot be used, a domain is unknown, or no prompt of a domain is short enough.
    """
    sources = open_sources(settings.eval_sources, "data.eval_sources", "test")
    encode = PromptEncoder(tokenizer, settings.max_prompt_tokens, settings.overlong_prompts)
    prompts: dict[str, tuple[Prompt, ...]] = {}
    for name, problems in _problems_by_domain(sources, domains).items():
        chosen: dict[int, Prompt] = {}
        for index in permutation(len(problems), "evaluation", name).tolist():
            if max_problems is not None and len(chosen) == max_problems:
                break
            prompt = encode(problems[index])
            if prompt is not None:
                chosen[index] = prompt
        if not chosen:
            raise ConfigError(
                f"domain {name}: no prompt of data.eval_sources is within "
                f"data.max_prompt_tokens={settings.max_prompt_tokens}"
            )
        prompts[name] = tuple(chosen[index] for index in sorted(chosen))
    return prompts


def _problems_by_domain(sources: Sequence[ProblemSource], domains: Mapping[str, Domain]) -> dict[str, DomainProblems]:
    """Gather each domain's rows over the sources, in the order of `domains`."""
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
