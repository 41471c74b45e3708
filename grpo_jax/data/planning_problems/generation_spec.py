# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what planning problems to generate from one line of words.

`default`, or words separated by blanks, each at most once:

    count=150                          problems of each scenario
    seed=0                             names the problems that are drawn
    scenarios=ferry,spanner            default: all five
    ferry.l=3..6  blocksworld.n=5      ranges of difficulty parameters; the others keep their default
"""

import re
from dataclasses import dataclass, field

from grpo_jax.data.planning_problems.write import SCENARIOS, Ranges
from grpo_jax.records import ConfigError

_USAGE = "write default, or words like count=150 seed=0 scenarios=ferry,spanner ferry.l=3..6"


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """The arguments of `write.write_planning_problems` beside the folder."""

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    count: int = 150
    seed: int = 0
    ranges: dict[str, Ranges] = field(default_factory=dict)


def parse_generation_spec(text: str) -> GenerationSpec:
    """Read the line described above.

    Raises:
        ConfigError: A word is not of this form or stands there twice.
    """
    words = [] if text.strip() == "default" else text.split()
    values: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or not value or key in values:
            problem = "stands there twice" if key in values else "is not KEY=VALUE"
            raise ConfigError(f"planning problems: {word!r} {problem}; {_USAGE}")
        values[key] = value
    ranges: dict[str, dict[str, tuple[int, int]]] = {}
    for key in [key for key in values if "." in key]:
        scenario, _, parameter = key.partition(".")
        low, separator, high = values[key].partition("..")
        first = _number(key, low)
        ranges.setdefault(scenario, {})[parameter] = (first, _number(key, high) if separator else first)
        del values[key]
    unknown = set(values) - {"count", "seed", "scenarios"}
    if unknown:
        raise ConfigError(f"planning problems: unknown key {min(unknown)!r}; {_USAGE}")
    default = GenerationSpec()
    return GenerationSpec(
        scenarios=tuple(dict.fromkeys(values["scenarios"].split(","))) if "scenarios" in values else default.scenarios,
        count=_number("count", values["count"]) if "count" in values else default.count,
        seed=_number("seed", values["seed"]) if "seed" in values else default.seed,
        ranges={scenario: dict(own) for scenario, own in ranges.items()},
    )


def _number(key: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise ConfigError(f"planning problems: {key}={text!r} must be a whole number; {_USAGE}")
    return int(text)
