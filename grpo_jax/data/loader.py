# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The Grain dataset of training prompts, one batch a step, and the prompts to evaluate on.

Batch k is a pure function of (seed, k), settings, sources and what was learned from outcomes: `draw_plan.py` says which
problems it holds, here they are read and encoded. Every host makes the same plan and reads its own slots of it alone.
With `data.overlong_prompts=drop` the plan depends on prompts' lengths, so there each host also reads what others draw
for the first time; from the second pass on the lengths are known. Batches are made when asked for, in the calling
thread: the tokenizers behind `records.Tokenizer` are not safe to share between threads.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from grpo_jax.config import DataConfig, Domain, RunConfig
from grpo_jax.data.adaptive import Outcome
from grpo_jax.data.curriculum import sampling_temperature
from grpo_jax.data.draw_plan import DrawPlan, Slot, StepPlan
from grpo_jax.data.overlap import refuse_overlap
from grpo_jax.data.permutation import permutation
from grpo_jax.data.problem_sets import (
    buckets_by_domain,
    evaluation_sources,
    problems_by_domain,
    steps_of_run,
    training_problems,
)
from grpo_jax.data.prompt_encoder import PromptEncoder
from grpo_jax.data.prompt_lengths import PromptLengths, measure_prompt_lengths
from grpo_jax.records import ConfigError, Prompt, Tokenizer

logger = logging.getLogger(__name__)

Batch = tuple[Prompt, ...]

_UNKNOWN, _FITS, _TOO_LONG = 0, 1, 2
_LOGGED_CHANGE = 0.01  # of a weight, below which a change is not worth a line


class ProblemLoader:
    """Iterates over the batches of a run, from any step.

    With `data.overlong_prompts=error` all prompts are tokenised here, so that a run does not stop on one later.

    Args:
        config: The run.
        tokenizer: Makes the token ids of prompts.
        host_index: Which of the hosts this is; its batches are the slots from host_index x B / num_hosts on.
        num_hosts: Hosts that share every batch of B prompts.

    Raises:
        ConfigError: A source cannot be used, names a domain that `domains` lacks, or a domain has no source; a problem
            stands in both training and evaluation sources; a prompt is too long and such are errors; a problem has no
            difficulty by its domain's rule; the batch cannot be shared by the hosts.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, host_index: int = 0, num_hosts: int = 1) -> None:
        settings = config.data
        if settings.prompts_per_step % num_hosts:
            raise ConfigError(
                f"data.prompts_per_step={settings.prompts_per_step} is not divisible by the {num_hosts} hosts that "
                "share it; change one of them"
            )
        share = settings.prompts_per_step // num_hosts
        self._own = slice(host_index * share, (host_index + 1) * share)
        self._config = config
        sources, self._problems = training_problems(config)
        refuse_overlap(sources, evaluation_sources(settings))
        self._encode = PromptEncoder(tokenizer, settings.max_prompt_tokens, settings.overlong_prompts)
        if settings.overlong_prompts == "error":
            for own in self._problems.values():
                for index in range(len(own)):
                    self._encode(own[index])
        self._lengths = {name: np.zeros(len(own), np.int8) for name, own in self._problems.items()}
        self._encoded: dict[tuple[str, int], Prompt] = {}
        self.num_steps = steps_of_run(config, self.num_problems)
        buckets = buckets_by_domain(config, self._problems)
        self._plan = DrawPlan(config, self.num_problems, buckets, self.num_steps, self._fits)
        self._last: StepPlan | None = None
        self._logged: dict[str, float] = {}
        self._iterator = iter(_Batches(self))

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """This host's prompts of the next step, domains in shuffled order."""
        return next(self._iterator)

    @property
    def num_problems(self) -> dict[str, int]:
        """Problems by domain, overlong ones included: a number known before anything is tokenised."""
        return {name: len(own) for name, own in self._problems.items()}

    @property
    def num_dropped(self) -> dict[str, int]:
        """Overlong problems by domain found so far; all of them once the domain's first pass is over."""
        return {name: int((lengths == _TOO_LONG).sum()) for name, lengths in self._lengths.items()}

    def prompt_lengths(self) -> dict[str, PromptLengths]:
        """Lengths of the prompts of each domain, of a fixed choice of problems where it is large."""
        return measure_prompt_lengths(self._problems, self._encode)

    def draw(self) -> Batch:
        """Plan the next step and read this host's slots of it."""
        self._encoded.clear()
        plan = self._last = self._plan.next()
        self._log_changes(plan)
        return tuple(self._prompt(slot, plan.step) for slot in plan.slots[self._own])

    def replacements(self, prompts: Sequence[Prompt]) -> Batch:
        """For each prompt the next problem of its domain and bucket, drawn beside the steps' quotas.

        The plan moves on by it, so that all hosts must ask for the same ones.
        """
        slots = [Slot(prompt.problem.domain, prompt.bucket, prompt.index or 0) for prompt in prompts]
        return tuple(self._prompt(self._plan.another(slot), max(self._plan.step - 1, 0)) for slot in slots)

    def prompt_of(self, domain: str, index: int, bucket: str | None, temperature: float | None) -> Prompt:
        """A prompt as it was drawn before; the arguments are the fields of `Prompt`, and the plan does not move."""
        prompt = self._encode(self._problems[domain][index])
        assert prompt is not None, "a problem that was drawn is too long"
        return Prompt(prompt.problem, prompt.token_ids, bucket, temperature, index, prompt.truncated)

    def record(self, step: int, outcomes: Sequence[Outcome]) -> None:
        """Learn from how drawn problems went; does nothing unless `curriculum.adaptive` asks for it.

        Args:
            step: Step that drew them, from 0.
            outcomes: Of the whole batch, on every host.
        """
        self._plan.solve_rates.record(step, outcomes)

    def metrics(self) -> dict[str, float]:
        """Mix and curriculum of the last batch drawn, all hosts together.

        `curriculum/{domain}/{bucket}` is the fraction of the domain's prompts, `..._target` the weight in force, and
        `curriculum/{domain}/replaced` the prompts whose own bucket was empty.
        """
        plan = self._last
        assert plan is not None, "nothing was drawn yet"
        counts = Counter(slot.domain for slot in plan.slots)
        found: dict[str, float] = {}
        for name, target in plan.domain_targets.items():
            found[f"domain_mix_count/{name}"] = counts[name]
            found[f"domain_mix_actual/{name}"] = counts[name] / len(plan.slots)
            found[f"domain_mix_target/{name}"] = target
        buckets = Counter((slot.domain, slot.bucket) for slot in plan.slots)
        for name, targets in plan.bucket_targets.items():
            for bucket, target in targets.items():
                found[f"curriculum/{name}/{bucket}_target"] = target
                if counts[name]:
                    found[f"curriculum/{name}/{bucket}"] = buckets[name, bucket] / counts[name]
            found[f"curriculum/{name}/replaced"] = plan.replaced[name]
        rates = self._plan.solve_rates
        if rates.used:
            found |= {**rates.metrics(), "curriculum/resting": rates.resting(plan.step)}
        return found

    def state(self) -> dict[str, Any]:
        """The position, as JSON values; `restore` continues with the batch that would come next."""
        return {
            "iterator": self._iterator.get_state(),
            "seed": self._config.seed,
            "num_problems": self.num_problems,
            "max_prompt_tokens": self._config.data.max_prompt_tokens,
            "overlong_prompts": self._config.data.overlong_prompts,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken, by any number of hosts.

        Raises:
            ConfigError: Seed or sources are others than those of the state, so that the sequence would break.
        """
        for field, now in (("seed", self._config.seed), ("num_problems", self.num_problems)):
            if state[field] != now:
                raise ConfigError(
                    f"the checkpoint's data had {field}={state[field]}, this run has {now}; "
                    "restore the old sources and seed, or start afresh with --resume never"
                )
        self._iterator.set_state(state["iterator"])
        settings = self._config.data
        if (state["max_prompt_tokens"], state["overlong_prompts"]) != (
            settings.max_prompt_tokens,
            settings.overlong_prompts,
        ):
            for lengths in self._lengths.values():
                lengths[:] = _UNKNOWN

    def position(self) -> dict[str, Any]:
        """State of the iterator."""
        too_long = {name: np.flatnonzero(own == _TOO_LONG).tolist() for name, own in self._lengths.items()}
        return {"plan": self._plan.state(), "too_long": too_long}

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Take over a state of the iterator."""
        self._plan.restore(position["plan"])
        for name, lengths in self._lengths.items():
            lengths[:] = _UNKNOWN
            lengths[position["too_long"][name]] = _TOO_LONG

    def _fits(self, name: str, index: int) -> bool:
        known = self._lengths[name]
        if known[index] == _UNKNOWN:
            prompt = self._encode(self._problems[name][index])
            known[index] = _TOO_LONG if prompt is None else _FITS
            if prompt is not None:
                self._encoded[name, index] = prompt
        return bool(known[index] == _FITS)

    def _prompt(self, slot: Slot, step: int) -> Prompt:
        config, difficulty = self._config, self._config.curriculum.difficulty
        prompt = self._encoded.get((slot.domain, slot.index)) or self._encode(self._problems[slot.domain][slot.index])
        assert prompt is not None, "a problem that fitted is too long on a second look"
        own = config.temperature_of(slot.domain)
        temperature = sampling_temperature(difficulty, slot.bucket, own, min(step / self.num_steps, 1.0))
        changed = temperature if temperature != own else None
        return Prompt(prompt.problem, prompt.token_ids, slot.bucket, changed, slot.index, prompt.truncated)

    def _log_changes(self, plan: StepPlan) -> None:
        """Write the weights in force where they differ from those written last."""
        now = dict(plan.domain_targets)
        for name, targets in plan.bucket_targets.items():
            now |= {f"{name}/{bucket}": weight for bucket, weight in targets.items()}
        if all(abs(weight - self._logged.get(name, -1.0)) < _LOGGED_CHANGE for name, weight in now.items()):
            return
        self._logged = now
        logger.info("weights from step %d: %s", plan.step + 1, ", ".join(f"{name} {w:.3g}" for name, w in now.items()))


class _Batches(grain.IterDataset[Batch]):
    """The batches as Grain sees them."""

    def __init__(self, loader: ProblemLoader) -> None:
        super().__init__()
        self._loader = loader

    def __iter__(self) -> grain.DatasetIterator[Batch]:
        return _BatchIterator(self._loader)


class _BatchIterator(grain.DatasetIterator[Batch]):
    """Draws batches; its state is the plan's and JSON, as Grain's checkpoints want it."""

    def __init__(self, loader: ProblemLoader) -> None:
        super().__init__()
        self._loader = loader

    def __next__(self) -> Batch:
        return self._loader.draw()

    def get_state(self) -> dict[str, Any]:
        return self._loader.position()

    def set_state(self, state: dict[str, Any]) -> None:
        self._loader.go_to(state)


def evaluation_prompts(
    settings: DataConfig, domains: Mapping[str, Domain], tokenizer: Tokenizer, max_problems: int | None
) -> dict[str, Batch]:
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
    sources = evaluation_sources(settings)
    encode = PromptEncoder(tokenizer, settings.max_prompt_tokens, settings.overlong_prompts)
    prompts: dict[str, Batch] = {}
    for name, problems in problems_by_domain(sources, domains).items():
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
