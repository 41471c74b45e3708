# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Refuses to evaluate on problems that are trained on, and counts those that training holds twice.

What users ask is compared between sources of files and of the hub, by the hashes that opening them made, white space
aside. Tasks of reasoning_gym are left to the split of their seeds (`reasoning_gym_source.py`): reading every entry
would mean generating it.
"""

import logging
from collections.abc import Sequence

import numpy as np

from grpo_jax.data.sources import ProblemSource
from grpo_jax.records import ConfigError, Problem

_log = logging.getLogger(__name__)


def refuse_overlap(train: Sequence[ProblemSource], evaluation: Sequence[ProblemSource]) -> None:
    """Compare training and evaluation sources.

    Two problems are the same where the user asks the same and, beyond that, the whole conversation or the ground truth
    is the same: a question about functions that the system message lists is another one under another list.

    Raises:
        ConfigError: A problem stands in both; the message names both rows.
    """
    held_out = [(source, source.hashes) for source in evaluation if source.hashes is not None]
    if not held_out:
        return
    hashes = np.concatenate([own for _, own in held_out])
    order = np.argsort(hashes, kind="stable")
    ends = np.cumsum([len(own) for _, own in held_out])
    for source in train:
        if source.hashes is None:
            continue
        for index in np.flatnonzero(np.isin(source.hashes, hashes)).tolist():
            problem = source[index]
            first, last = (
                np.searchsorted(hashes, source.hashes[index], side, sorter=order) for side in ("left", "right")
            )
            for place in order[first:last].tolist():
                number = int(np.searchsorted(ends, place, side="right"))
                other = held_out[number][0]
                inner = place - (int(ends[number - 1]) if number else 0)
                if _are_the_same(problem, other[inner]):
                    raise ConfigError(
                        f"{source.where(index)} of data.train_sources asks the same as {other.where(inner)} of "
                        "data.eval_sources; remove one of the two rows, or name other sources or splits"
                    )


def count_duplicates(train: Sequence[ProblemSource]) -> int:
    """Problems of the sources that ask the same as an earlier one; a line in the log names the first."""
    compared = [source for source in train if source.hashes is not None]
    if not compared:
        return 0
    hashes = np.concatenate([source.hashes for source in compared if source.hashes is not None])
    order = np.argsort(hashes, kind="stable")
    repeats = np.flatnonzero(np.diff(hashes[order]) == 0)
    if len(repeats):
        first = int(repeats[np.argmin(order[repeats + 1])])
        places = [_place(compared, int(order[position])) for position in (first + 1, first)]
        _log.warning(
            "%d of %d training problems ask the same as an earlier one, the first at %s (as %s)",
            len(repeats),
            len(hashes),
            *places,
        )
    return len(repeats)


def _place(sources: Sequence[ProblemSource], index: int) -> str:
    for source in sources:
        if index < len(source):
            return source.where(index)
        index -= len(source)
    raise IndexError(index)


def _are_the_same(one: Problem, other: Problem) -> bool:
    return one.ground_truth == other.ground_truth or _conversation(one) == _conversation(other)


def _conversation(problem: Problem) -> list[tuple[str, list[str]]]:
    return [(message["role"], message["content"].split()) for message in problem.messages]
