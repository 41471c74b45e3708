# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The problem schema: rows as users' files hold them, to and from `records.Problem`.

A row is the one of the verl parquet schema (`prompt`, `data_source`, `ability`, `reward_model`, `extra_info`) with two
optional fields of ours, `domain` and `difficulty`. Other fields of a row are not read.

A ground truth that is an object keeps its form in JSON Lines. Parquet gives a column one type, under which objects with
different keys would come back with each other's; there it is JSON text, and `reward_model.encoding` says "json". Text
without that mark stays text.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.data.plain_json import plain_json
from grpo_jax.records import ConfigError, Message, Problem

FIELDS = ("prompt", "data_source", "ability", "reward_model", "extra_info", "domain", "difficulty")
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
    ground_truth = _decoded(reward_model, where)
    extra = plain_json(row.get("extra_info"), f"{where}: field extra_info")
    if extra is not None and not isinstance(extra, dict):
        raise ConfigError(f"{where}: field extra_info must be an object, got {_kind(extra)}")
    return Problem(
        id=problem_id,
        domain=domain if domain is not None else row_domain(row, where),
        messages=_messages(row.get("prompt"), where),
        ground_truth=ground_truth,
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


def with_json_text(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows for parquet: ground truths are JSON text with a mark, unless all are text or all are lists of text."""
    truths = [row["reward_model"]["ground_truth"] for row in rows]
    if all(isinstance(truth, str) for truth in truths) or all(_is_text_list(truth) for truth in truths):
        return [dict(row) for row in rows]
    encoded = []
    for row, truth in zip(rows, truths, strict=True):
        plain = isinstance(truth, str)
        text = truth if plain else json.dumps(truth, ensure_ascii=False)
        encoding = row["reward_model"].get("encoding") if plain else "json"
        marked = {**row["reward_model"], "ground_truth": text, "encoding": encoding}
        encoded.append({**row, "reward_model": marked})
    return encoded


def asked_message(messages: Sequence[Message]) -> int:
    """Place of the message that asks: the last one of the user, or the last one where no user speaks."""
    asked = [place for place, message in enumerate(messages) if message["role"] == "user"]
    return asked[-1] if asked else len(messages) - 1


def user_text(problem: Problem) -> str:
    """What the user asks, by `asked_message`."""
    return problem.messages[asked_message(problem.messages)]["content"]


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _decoded(reward_model: Mapping[str, Any], where: str) -> Any:
    """The ground truth, read from JSON text where the row says that it is such."""
    truth, encoding = reward_model["ground_truth"], reward_model.get("encoding")
    if encoding is None:
        return truth
    if encoding != "json" or not isinstance(truth, str):
        raise ConfigError(f'{where}: field reward_model.encoding is {encoding!r}; it must be "json", beside JSON text')
    try:
        return json.loads(truth)
    except ValueError as error:
        raise ConfigError(f"{where}: field reward_model.ground_truth is not the JSON text it should be") from error


def _messages(prompt: Any, where: str) -> tuple[Message, ...]:
    if type(prompt) is not list:
        prompt = plain_json(prompt, f"{where}: field prompt")
    if not isinstance(prompt, list) or not prompt:
        raise ConfigError(f"{where}: field prompt must be a list of {{role, content}}, got {_kind(prompt)}")
    messages: list[Message] = []
    for index, message in enumerate(prompt):
        if type(message) is not dict:
            message = plain_json(message, f"{where}: field prompt[{index}]")
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, str):
            raise ConfigError(f"{where}: field prompt[{index}] must be {{role, content}} with a string as content")
        if message.get("role") not in ROLES:
            raise ConfigError(
                f"{where}: field prompt[{index}].role is {message.get('role')!r}; use one of {', '.join(ROLES)}"
            )
        messages.append({"role": str(message["role"]), "content": str(content)})
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
