# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a reasoning_gym task, each generated when it is read.

Row i is a pure function of (task, parameters, seed, split, i). The library draws entry i from a generator seeded with
its seed + i, so that neighbouring seeds would share nearly all entries; here every pair of seed and split owns a block
of 2**22 library seeds, and no train entry is drawn from the seed of a test entry. Tasks of few distinct questions
(single-digit sums) can still ask the same thing in both: the blocks are of seeds, not of questions.

A row carries the entry itself in `extra_info`, as JSON values, because the library's verifiers read it. Opening a task
checks that they judge the JSON form as they judge the original, and refuses the task where they do not.
"""

import difflib
import json
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from grpo_jax.data.plain_json import plain_json
from grpo_jax.data.rows import Chunk, FileSpan, Row
from grpo_jax.records import ConfigError

DEFAULT_SIZE = 10_000
_SPLITS = ("train", "validation", "test")
_BLOCK = 2**22
# These iterate over sets of strings while generating, whose order follows Python's hash seed.
_HASH_DEPENDENT = frozenset(
    ("isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder")
)

# Their verifiers compare with tuples; the `reasoning_gym` reward makes tuples of an entry's lists for them.
_LISTS_BECOME_TUPLES_AGAIN = frozenset(("arc_agi", "rearc"))


class ReasoningGymRows:
    """The entries of one task in the problem schema.

    Args:
        task: The task's name, such as `chain_sum`.
        split: `train`, `validation` or `test`.
        parameters: Fields of the task's config, with `size` (default 10,000) and `seed` (default 0).

    Raises:
        ConfigError: Task, split or parameter is unknown or out of range, or the task cannot be verified from JSON.
    """

    def __init__(self, task: str, split: str, parameters: Mapping[str, Any]) -> None:
        self._label = f"{task_label(task, parameters)}@{split}"
        own: dict[str, Any] = plain_json(dict(parameters), f"{self._label}: parameters")
        seed, self._size = own.pop("seed", 0), own.pop("size", DEFAULT_SIZE)
        for name, value, low, high in (("seed", seed, 0, 2**40), ("size", self._size, 1, _BLOCK)):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(f"{self._label}: {name}={value} must be an integer from {low} to {high}")
        if split not in _SPLITS:
            raise ConfigError(f"{self._label}: split {split!r} is unknown; use one of {', '.join(_SPLITS)}")
        if task in _HASH_DEPENDENT and not os.environ.get("PYTHONHASHSEED", "random").isdecimal():
            raise ConfigError(
                f"{self._label}: this task depends on Python's hash seed, so that runs would not repeat; "
                "set the environment variable PYTHONHASHSEED=0"
            )
        self._task, self._parameters = task, own
        self._seed = (seed * len(_SPLITS) + _SPLITS.index(split)) * _BLOCK
        self._dataset = _create(self._label, task, own, self._seed, self._size)
        self._check_verifier()

    def __len__(self) -> int:
        return self._size

    def row(self, index: int) -> Row:
        """Generate one entry."""
        entry = self._json_entry(self._entry(index), index)
        return {
            "prompt": [{"role": "user", "content": entry["question"]}],
            "data_source": f"reasoning_gym/{self._task}",
            "ability": "reasoning",
            # Tasks of many right answers may name none; their verifier needs the entry alone.
            "reward_model": {"style": "rule", "ground_truth": "" if entry["answer"] is None else entry["answer"]},
            "extra_info": {"reasoning_gym": {"task": self._task, "parameters": self._parameters, "entry": entry}},
        }

    def where(self, index: int) -> str:
        """Place of a row, for messages."""
        return f"{self._label} entry {index}"

    def name(self, index: int) -> str:
        """Name of a row, stable over runs."""
        return f"{self._label}#{index}"

    def chunks(self) -> Iterator[Chunk]:
        """One span of all rows."""
        yield 0, self._size, None

    def files(self) -> Sequence[FileSpan]:
        """None; entries are generated."""
        return ()

    def _entry(self, index: int) -> dict[str, Any]:
        # A few tasks draw from the module-wide generator beside their own: seed it, and leave it as it was.
        state = random.getstate()
        random.seed(self._seed + index)
        try:
            return self._dataset[index]
        finally:
            random.setstate(state)

    def _json_entry(self, entry: dict[str, Any], index: int) -> dict[str, Any]:
        wanted = {key: entry.get(key) for key in ("question", "answer", "metadata")}
        return plain_json(wanted, self.where(index))

    def _check_verifier(self) -> None:
        """Compare the verdicts on every text of an entry, before and after its trip through JSON."""
        if self._task in _LISTS_BECOME_TUPLES_AGAIN:
            return
        entry = self._entry(0)
        travelled = json.loads(json.dumps(self._json_entry(entry, 0)))
        for answer in sorted({"", *_texts(travelled)}):
            if self._verdict(answer, travelled) != self._verdict(answer, entry):
                raise ConfigError(
                    f"{self._label}: the task's verifier needs Python objects that JSON cannot carry to the reward "
                    "workers; choose another task"
                )

    def _verdict(self, answer: str, entry: dict[str, Any]) -> float | str:
        """The score, or the error's name: some verifiers raise on answers of a form that they do not expect."""
        try:
            return self._dataset.score_answer(answer, entry)
        except (ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError) as error:
            return type(error).__name__


def task_label(task: str, parameters: Mapping[str, Any]) -> str:
    """`reasoning_gym/TASK?...`: all that an entry depends on beside split and index, in one spelling."""
    told = {
        name: value for name, value in sorted(parameters.items()) if name != "size" and (name, value) != ("seed", 0)
    }
    words = "&".join(f"{name}={value!r}" for name, value in told.items())
    return f"reasoning_gym/{task}?{words}" if words else f"reasoning_gym/{task}"


def _create(label: str, task: str, parameters: Mapping[str, Any], seed: int, size: int) -> Any:
    try:
        import reasoning_gym.factory
    except ImportError as error:
        raise ConfigError(f"{label} needs the package reasoning-gym: pip install 'grpo-jax[quickstart]'") from error
    tasks = reasoning_gym.factory.DATASETS
    if task not in tasks:
        raise ConfigError(f"{label}: reasoning_gym has no task {task!r}{_nearest(task, tasks)}")
    names = [field.name for field in fields(tasks[task][1])]
    for name in parameters:
        if name not in names:
            raise ConfigError(f"{label}: task {task} has no parameter {name!r}{_nearest(name, names)}")
    try:
        return reasoning_gym.factory.create_dataset(task, **parameters, seed=seed, size=size)
    except (AssertionError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{label}: reasoning_gym refuses these parameters: {reason}") from error


def _nearest(name: str, names: Any) -> str:
    close = difflib.get_close_matches(name, list(names), n=3, cutoff=0.4)
    return f"; did you mean {', '.join(close)}?" if close else f"; it has {', '.join(sorted(names)[:20])}"


def _texts(value: Any) -> Iterator[str]:
    """All strings inside a JSON value, and its objects and lists as JSON text, which some verifiers take."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        yield json.dumps(value)
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
