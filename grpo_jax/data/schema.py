# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The problem schema: rows as users' files hold them, to and from `records.Problem`.

A row is the one of the verl parquet schema (`prompt`, `data_source`, `ability`, `reward_model`, `extra_info`) with two
optional fields of ours, `domain` and `difficulty`. Other fields of a row are not read.
"""

import math
from collections.abc import Mapping
from typing import Any

from grpo_jax.data.plain_json import plain_json
from grpo_jax.records import ConfigError, Message, Problem

ROLES = ("system", "user", "assistant", "tool")


def row_domain(row: Mapping[str, Any], where: str) -> str:
    """The domain that a row names itself: its `domain`, else its `data_source`.

    Raises:
        ConfigError: It names neither.
    """
    name = row.get("domain") or row.get("data_source")
    if not isinstance(name, str):
        raise ConfigError(
            f"{where}: neither field domain nor field data_source names a domain; write the source as domain::dataset"
        )
    return name


def problem_from_row(row: Mapping[str, Any], problem_id: str, where: str, domain: str | None = None) -> Problem:
    """Check a row and make it a problem, its prompt as the row has it.

    Args:
        row: A row of the problem schema, possibly with values of pyarrow or NumPy.
        problem_id: The problem's id.
        where: File and line or row, for messages.
        domain: The domain that the source names; None takes the row's own.

    Raises:
        ConfigError: A field is missing or of the wrong kind; the message names place and field.
    """
    reward_model = plain_json(row.get("reward_model"), f"{where}: field reward_model")
    if not isinstance(reward_model, dict):
        raise ConfigError(f"{where}: field reward_model must be {{style, ground_truth}}, got {_kind(reward_model)}")
    if reward_model.get("ground_truth") is None:
        raise ConfigError(f"{where}: field reward_model.ground_truth is missing")
    extra = plain_json(row.get("extra_info"), f"{where}: field extra_info")
    if extra is not None and not isinstance(extra, dict):
        raise ConfigError(f"{where}: field extra_info must be an object, got {_kind(extra)}")
    return Problem(
        id=problem_id,
        domain=domain if domain is not None else row_domain(row, where),
        messages=_messages(row.get("prompt"), where),
        ground_truth=reward_model["ground_truth"],
        data_source=_text(row, "data_source", where),
        ability=_text(row, "ability", where),
        reward_style=_text(reward_model, "style", where) or "rule",
        difficulty=_difficulty(row.get("difficulty"), where),
        extra=extra or {},
    )


def row_from_problem(problem: Problem) -> dict[str, Any]:
    """The row that `problem_from_row` reads back as the same problem (its id aside)."""
    return {
        "prompt": [dict(message) for message in problem.messages],
        "data_source": problem.data_source,
        "ability": problem.ability,
        "reward_model": {"style": problem.reward_style, "ground_truth": problem.ground_truth},
        "extra_info": dict(problem.extra),
        "domain": problem.domain,
        "difficulty": problem.difficulty,
    }


def user_text(problem: Problem) -> str:
    """What the user asks: the content of the last user message, or of the last message where no user speaks."""
    asked = [message["content"] for message in problem.messages if message["role"] == "user"]
    return asked[-1] if asked else problem.messages[-1]["content"]


def _messages(prompt: Any, where: str) -> tuple[Message, ...]:
    prompt = plain_json(prompt, f"{where}: field prompt")
    if not isinstance(prompt, list) or not prompt:
        raise ConfigError(f"{where}: field prompt must be a list of {{role, content}}, got {_kind(prompt)}")
    messages = []
    for index, message in enumerate(prompt):
        field = f"{where}: field prompt[{index}]"
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise ConfigError(f"{field} must be {{role, content}} with a string as content")
        if message.get("role") not in ROLES:
            raise ConfigError(f"{field}.role is {message.get('role')!r}; use one of {', '.join(ROLES)}")
        messages.append({"role": message["role"], "content": message["content"]})
    return tuple(messages)


def _difficulty(value: Any, where: str) -> float | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    value = plain_json(value, f"{where}: field difficulty")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: field difficulty must be a number, got {value!r}")
    return float(value)


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{where}: field {name} must be a string, got {value!r}")
    return str(value)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return "an empty list" if value == [] else type(value).__name__
