# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The problems of one domain, and the endless order that problems are drawn in: each once before any twice."""

import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from jaxtyping import Int64

from grpo_jax.config import Domain
from grpo_jax.data.field_columns import field_values
from grpo_jax.data.permutation import permutation
from grpo_jax.data.sources import ProblemSource
from grpo_jax.data.templates import apply_template
from grpo_jax.records import Problem


class DomainProblems:
    """The problems of one domain over all its sources, one source after another, with the domain's template applied.

    Args:
        name: The domain's name.
        domain: Its settings.
        parts: Sources with the indices of the domain's rows in each.
    """

    def __init__(self, name: str, domain: Domain, parts: Sequence[tuple[ProblemSource, np.ndarray]]) -> None:
        self.name = name
        self.domain = domain
        self._parts = parts
        self._ends = list(accumulate(len(indices) for _, indices in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Problem:
        source, row = self._find(index)
        return apply_template(source[row], self.domain)

    def problem_id(self, index: int) -> str:
        """The problem's id, its row left unread."""
        source, row = self._find(index)
        return source.problem_id(row)

    def source_text(self, index: int) -> str:
        """The source that a problem came from, in the words of the config."""
        return self._find(index)[0].spec.text

    def field_values(self, key: str) -> list[Any] | None:
        """Values of a field of all problems, where all sources have it in columns; see `field_columns.py`."""
        values: list[Any] = []
        for source, indices in self._parts:
            own = field_values(source, key)
            if own is None:
                return None
            values += [own[index] for index in indices.tolist()]
        return values

    def _find(self, index: int) -> tuple[ProblemSource, int]:
        number = bisect.bisect_right(self._ends, index)
        source, indices = self._parts[number]
        return source, int(indices[index - (self._ends[number - 1] if number else 0)])


class DrawOrder:
    """An endless order over some problems: pass e over them follows its own permutation.

    Args:
        members: Numbers of the problems.
        words: What names the permutations of this order beside the pass; see `permutation`.
    """

    def __init__(self, members: Int64[np.ndarray, " members"], *words: object) -> None:
        self._members, self._words = members, words
        self.cursor = 0
        """Candidates passed so far, over all passes: all that there is to save."""
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._members)

    def next(self, admits: Callable[[int, int], bool]) -> int | None:
        """The next problem that is admitted.

        Args:
            admits: Of a problem's number and the number of the pass; others are passed over.

        Returns:
            Its number, or None where as many candidates in a row as there are problems were passed over.
        """
        for _ in range(len(self._members)):
            number, place = divmod(self.cursor, len(self._members))
            if self._order is None or self._order[0] != number:
                self._order = number, self._members[permutation(len(self._members), "pass", *self._words, number)]
            member = int(self._order[1][place])
            self.cursor += 1
            if admits(member, number):
                return member
        return None
