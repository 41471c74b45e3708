# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The endless sequence of prompts of one domain: every problem once before any twice, overlong ones left out.

Pass e over the domain follows its own permutation. Which problems are too long is only known by tokenising them, so the
first pass finds out as it goes: an overlong problem is left out and the next in order takes its place. From the second
pass on the kept problems are known, and those alone are permuted. The j-th prompt is therefore a function of the seed,
the sources and j, however it is asked for; asking for a late one first only costs tokenising what comes before it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from grpo_jax.config import Domain
from grpo_jax.data.permutation import permutation
from grpo_jax.data.sources import ProblemSource
from grpo_jax.data.templates import apply_template
from grpo_jax.records import ConfigError, Problem, Prompt, Tokenizer


class DomainProblems:
    """The problems of one domain over all its sources, one source after another, with the domain's template applied.

    Args:
        name: The domain's name.
        domain: Its settings.
        parts: Sources with the indices of the domain's rows in each.
    """

    def __init__(self, name: str, domain: Domain, parts: Sequence[tuple[ProblemSource, np.ndarray]]) -> None:
        self.name = name
        self._domain = domain
        self._parts = parts
        self._ends = np.cumsum([len(indices) for _, indices in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Problem:
        number = int(np.searchsorted(self._ends, index, side="right"))
        source, indices = self._parts[number]
        start = int(self._ends[number - 1]) if number else 0
        return apply_template(source[int(indices[index - start])], self._domain)


class PromptEncoder:
    """Problems to prompts, with the limit on their length.

    Args:
        tokenizer: Its chat template counts towards the length.
        max_prompt_tokens: Longest prompt.
        overlong: `drop` makes an overlong problem None, `error` raises.
    """

    def __init__(self, tokenizer: Tokenizer, max_prompt_tokens: int, overlong: str) -> None:
        self._tokenizer = tokenizer
        self.max_prompt_tokens = max_prompt_tokens
        self._overlong = overlong

    def __call__(self, problem: Problem) -> Prompt | None:
        """The prompt, or None where it is too long and such are dropped."""
        token_ids = self._tokenizer.encode_chat(problem.messages)
        if len(token_ids) <= self.max_prompt_tokens:
            return Prompt(problem, np.asarray(token_ids, dtype=np.int32))
        if self._overlong == "error":
            raise ConfigError(
                f"problem {problem.id} has a prompt of {len(token_ids)} tokens, above "
                f"data.max_prompt_tokens={self.max_prompt_tokens}; raise it or set data.overlong_prompts=drop"
            )
        return None


class DomainStream:
    """Random access to the endless sequence of one domain's prompts.

    Args:
        problems: The domain's problems.
        encode: Makes prompts, or None for those to leave out.
        seed: The run's seed.
    """

    def __init__(self, problems: DomainProblems, encode: Callable[[Problem], Prompt | None], seed: int) -> None:
        self._problems = problems
        self._encode = encode
        self._seed = seed
        self._first = self._permutation(0)
        self._num_scanned = 0
        self._kept = np.empty(len(problems), dtype=np.int64)  # in the order of the first pass
        self._num_kept = 0
        self._order: tuple[int, Int64[np.ndarray, " kept"]] | None = None

    @property
    def num_dropped(self) -> int:
        """Overlong problems found so far; all of them once the first pass is over."""
        return self._num_scanned - self._num_kept

    def __getitem__(self, position: int) -> Prompt:
        """The prompt at a position of the sequence, from 0 without end.

        Raises:
            ConfigError: Every problem of the domain is too long, or a row is bad.
        """
        while self._num_kept <= position and self._num_scanned < len(self._problems):
            index = int(self._first[self._num_scanned])
            prompt = self._encode(self._problems[index])
            self._num_scanned += 1
            if prompt is None:
                continue
            self._kept[self._num_kept] = index
            self._num_kept += 1
            if self._num_kept == position + 1:
                return prompt
        prompt = self._encode(self._problems[self._index(position)])
        assert prompt is not None, "a problem that was kept is too long on a second look"
        return prompt

    def state(self) -> dict[str, Any]:
        """What the first pass has found, to save tokenising it again; JSON values."""
        scanned = self._first[: self._num_scanned]
        dropped = ~np.isin(scanned, self._kept[: self._num_kept])
        return {"num_scanned": self._num_scanned, "dropped_positions": np.flatnonzero(dropped).tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` told of the same problems, seed and limit."""
        kept = np.delete(self._first[: state["num_scanned"]], state["dropped_positions"])
        self._num_scanned, self._num_kept = state["num_scanned"], len(kept)
        self._kept[: len(kept)] = kept

    def _index(self, position: int) -> int:
        if position < self._num_kept:
            return int(self._kept[position])
        if self._num_kept == 0:
            raise ConfigError(
                f"domain {self._problems.name}: all {len(self._problems)} prompts are longer than "
                "data.max_prompt_tokens; raise it"
            )
        epoch, place = divmod(position, self._num_kept)
        if self._order is None or self._order[0] != epoch:
            order = self._permutation(epoch)
            self._order = epoch, order[np.isin(order, self._kept[: self._num_kept])]
        return int(self._order[1][place])

    def _permutation(self, epoch: int) -> Int64[np.ndarray, " problems"]:
        return permutation(len(self._problems), "pass", self._seed, self._problems.name, epoch)
