# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the planning layout: a folder with one `SCENARIO.jsonl` a domain and the PDDL files somewhere below.

    {"prompt": "...", "meta": {"problem_file": "ferry/ferry-l4-c2-s1302.pddl", "domain_file": "ferry/domain.pddl",
                               "scenario": "ferry", "plan_file": "ferry/ferry-l4-c2-s1302.soln"}}

Paths are relative to the .jsonl file's folder, or absolute; `scenario` and `plan_file` may be left out.
"""

import functools
import os
from pathlib import Path
from typing import Any

from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError

_FILES = {"domain_file": True, "problem_file": True, "plan_file": False}  # name -> whether it must be given


def is_planning_row(row: Row) -> bool:
    """Whether a row is one of this layout."""
    return isinstance(row.get("meta"), dict) and "problem_file" in row["meta"] and "reward_model" not in row


def planning_row(row: Row, file: str, index: int, where: str) -> dict[str, Any]:
    """A row of the problem schema, its paths made absolute.

    Args:
        row: A row of the planning layout.
        file: The .jsonl file that it stands in, whose name is the domain.
        index: Number of the row.
        where: File and line, for messages.

    Raises:
        ConfigError: The prompt is no text, or a PDDL file is not named or does not exist.
    """
    if not isinstance(row.get("prompt"), str):
        raise ConfigError(f"{where}: field prompt of a planning row must be a string")
    meta = row["meta"]
    folder = os.path.abspath(os.path.dirname(file))
    truth: dict[str, Any] = {}
    for name, required in _FILES.items():
        path = meta.get(name)
        if path is None and not required:
            truth[name] = None
            continue
        if not isinstance(path, str) or not path:
            raise ConfigError(f"{where}: field meta.{name} must be the path of a PDDL file")
        truth[name] = os.path.normpath(os.path.join(folder, path))
        if not _is_file(truth[name]):
            raise ConfigError(f"{where}: field meta.{name} is {path!r}, and there is no file {truth[name]}")
    domain = Path(file).stem
    scenario = meta.get("scenario") or domain
    others = {name: value for name, value in meta.items() if name not in truth}
    return {
        "prompt": [{"role": "user", "content": row["prompt"]}],
        "data_source": f"planning/{scenario}",
        "ability": "planning",
        "reward_model": {"style": "rule", "ground_truth": {**truth, "scenario": scenario}},
        "extra_info": {"index": index, **others},
        "domain": domain,
        "difficulty": row.get("difficulty"),
    }


@functools.lru_cache(maxsize=65_536)
def _is_file(path: str) -> bool:
    return os.path.isfile(path)
