# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How hard a problem is by its domain's rule, and the bucket that follows from its rank in the domain."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float64, Int8

from grpo_jax.curriculum_config import DifficultyRule
from grpo_jax.data.schema import user_text
from grpo_jax.records import ConfigError, Problem

SCENARIO_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "grippers": {"n": 5.0, "r": 3.0, "o": 2.0},
    "bw": {"n": 1.0},
}
"""First word of a file name -> factor of each parameter; names not listed here sum all of their parameters."""

_SEED = re.compile(r"[-_](?:seed|s)\d+$")
_PARAMETER = re.compile(r"[-_]([a-zA-Z]+)(\d+(?:\.\d+)?)(?![a-zA-Z0-9])")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FILE_KEYS = ("ground_truth.problem_file", "extra_info.problem_file", "extra_info.meta.problem_file")


def difficulty_score(problem: Problem, rule: DifficultyRule) -> float:
    """Score of one problem by its domain's rule; larger is harder, NaN where it has none.

    Raises:
        ConfigError: The row has no score and `rule.missing` is `error`; the message names problem and place.
    """
    if rule.rule == "prompt_length":
        return float(len(user_text(problem)))
    if rule.rule == "file_name":
        keys = (rule.key,) if rule.key else _FILE_KEYS
        name = next((value for value in (_look_up(problem, key) for key in keys) if isinstance(value, str)), None)
        score = file_name_score(name, rule) if name is not None else math.nan
        what = f"no file name at {' or '.join(keys)}" if name is None else f"no parameters in the file name {name!r}"
    else:
        key = rule.key or "difficulty"
        value = _look_up(problem, key)
        score = first_number(value)
        what = f"no number at {key} (found {value!r})"
    if math.isnan(score) and rule.missing == "error":
        raise ConfigError(
            f"problem {problem.id} of domain {problem.domain} has {what}; change domains.{problem.domain}.difficulty, "
            "or set its missing=medium"
        )
    return score


def file_name_score(path: str, rule: DifficultyRule) -> float:
    """Score by the parameters in a file's name, as in `grippers-n1-r4-o3-s299249445.pddl`; NaN where it has none."""
    stem = PurePosixPath(path).stem
    if rule.pattern:
        match = re.search(rule.pattern, stem)
        found = {name: first_number(text) for name, text in match.groupdict().items()} if match else {}
    else:
        found = {name: float(number) for name, number in _PARAMETER.findall(_SEED.sub("", stem))}
    weights = rule.weights or SCENARIO_WEIGHTS.get(re.split(r"[-_\d]", stem)[0], {})
    if not set(weights) <= set(found):
        return math.nan
    used = dict(weights) or dict.fromkeys(found, 1.0)
    if not used:
        return math.nan
    if rule.combine == "product":
        powers = rule.weights or dict.fromkeys(used, 1.0)
        return math.prod(found[name] ** power for name, power in powers.items())
    return math.fsum(weight * found[name] for name, weight in used.items())


def sort_into_buckets(scores: Sequence[float], percentiles: Sequence[float]) -> Int8[np.ndarray, " problems"]:
    """Bucket of each problem: 0 easy, 1 medium, 2 hard.

    Problems are ranked by score and cut at the two percentiles. Equal scores are never parted: a cut moves to the
    nearest place between two different scores. Where there are three different scores or more no bucket is empty; one
    or two different scores leave the harder buckets so. Problems without a score (NaN) are medium and not ranked.

    Args:
        scores: Of all problems of a domain.
        percentiles: Fractions of the problems below medium and below hard.
    """
    given: Float64[np.ndarray, " problems"] = np.asarray(scores, np.float64)
    known = ~np.isnan(given)
    buckets = np.ones(len(given), np.int8)
    values, counts = np.unique(given[known], return_counts=True)
    if len(values) == 0:
        return buckets
    below = np.cumsum(counts)  # problems with at most this score
    first, second = _cuts(below, percentiles)
    place = np.searchsorted(values, given[known])
    buckets[known] = (place > first).astype(np.int8) + (place > second)
    return buckets


def _cuts(below: np.ndarray, percentiles: Sequence[float]) -> tuple[int, int]:
    """Numbers of the last easy and the last medium score; the later one leaves room for the other's bucket."""
    last = len(below) - 1
    wanted = [fraction * below[-1] for fraction in percentiles]
    if last == 0:
        return 0, 0
    first = int(np.argmin(np.abs(below[: max(last - 1, 1)] - wanted[0])))
    if last == 1:
        return 0, 1
    second = first + 1 + int(np.argmin(np.abs(below[first + 1 : last] - wanted[1])))
    return first, second


def _look_up(problem: Problem, key: str) -> Any:
    """A value of the problem by the dotted name of its place in the row."""
    words = key.split(".")
    if words[:2] == ["reward_model", "ground_truth"]:
        words = words[1:]
    places = {
        "difficulty": problem.difficulty,
        "data_source": problem.data_source,
        "ability": problem.ability,
        "ground_truth": problem.ground_truth,
        "extra_info": problem.extra,
        "id": problem.id,
    }
    value: Any = places
    for word in words:
        value = value.get(word) if isinstance(value, Mapping) else None
    return value


def first_number(value: Any) -> float:
    """A number, or the first one in a text; NaN where there is none."""
    if isinstance(value, bool) or value is None:
        return math.nan
    if isinstance(value, int | float):
        return float(value)
    match = _NUMBER.search(value) if isinstance(value, str) else None
    return float(match.group()) if match else math.nan
