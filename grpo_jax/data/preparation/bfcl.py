# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Berkeley Function-Calling Leaderboard: questions with function descriptions, joined with their possible answers.

Answers lie in `possible_answer/` beside a file of questions, under the same name and id; categories called irrelevance
have none, because no call is right there. The prompt is the question with the functions it may call, one JSON object a
line; how a call is written is the domain's template's to say.

In multi-turn categories, later turns depend on what simulated services return. Their first turn is the problem: its
prompt with the functions of the services involved (from `multi_turn_func_doc/`), its reference calls as the answer.
The other turns, their calls and the services' initial state stay beside it as JSON text for a rollout of one's own.
"""

import ast
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpo_jax.data.preparation.raw_files import open_raw_file
from grpo_jax.data.preparation.row_building import UnusableRowError, problem_row
from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError

ANSWERS, DOCUMENTS = "possible_answer", "multi_turn_func_doc"
_SERVICES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "TwitterAPI": "posting_api",
    "VehicleControlAPI": "vehicle_control",
}
_ENDINGS = (".jsonl", ".json")


def is_raw(row: Row) -> bool:
    """Whether a row has this dataset's fields."""
    return "question" in row and bool({"function", "involved_classes"} & set(row))


def note(row: Row) -> str | None:
    """What the report says of a converted row: multi-turn problems are more than their prompt."""
    turns = row["extra_info"]["num_turns"]
    return None if turns == 1 else "multi-turn conversations, of which the first turn is the problem"


def join_answers(row: Row, path: Path, where: str) -> Row:
    """A raw question with its `ground_truth` and, for multi-turn categories, its `function` list.

    Args:
        row: The raw question.
        path: The file of questions.
        where: File and line, for messages.

    Raises:
        ConfigError: A companion file is missing or has nothing for this row.
    """
    row = dict(row)
    if "function" not in row:
        row["function"] = _service_functions(row, path, where)
    name = str(row.get("id"))
    if "ground_truth" not in row and "irrelevance" not in name:
        if "relevance" in name:
            raise UnusableRowError(f"{where}: category relevance names no right call, so no answer could be checked")
        answers = _answers(_companion(path.parent / ANSWERS, path.name.split(".")[0], where))
        if row.get("id") not in answers:
            raise ConfigError(f"{where}: {ANSWERS}/{path.name} has no answer of id {row.get('id')!r}")
        row["ground_truth"] = answers[row["id"]]
    return row


def convert_row(row: Row, split: str, index: int, where: str) -> dict[str, Any]:
    """Convert one question joined with its answer; the ground truth is `{functions, calls}`.

    A call is `{name: {argument: [allowed value, ...]}}`; "" among the allowed values means that it may be left out.

    Args:
        row: The question with `function` and `ground_truth`; without `ground_truth` only where id says irrelevance.
        split: Split that it belongs to.
        index: Its number there.
        where: File and line, for messages.

    Raises:
        ConfigError: A field is missing or of the wrong kind; `UnusableRowError` where the first turn calls nothing.
    """
    name, turns, functions = str(row.get("id")), row.get("question"), row.get("function")
    if not isinstance(functions, list) or not all(isinstance(one, Mapping) and "name" in one for one in functions):
        raise ConfigError(f"{where}: field function must be a list of function descriptions")
    if not isinstance(turns, list) or not turns or not isinstance(turns[0], list):
        raise ConfigError(f"{where}: field question must be a list of turns, each a list of messages")
    category = name.rsplit("_", 1)[0]
    if "ground_truth" not in row and "irrelevance" not in category:
        raise ConfigError(
            f"{where}: field ground_truth is missing; `grpo-jax prepare bfcl` joins questions with {ANSWERS}/"
        )
    golds = row.get("ground_truth") or []
    multi_turn = bool(golds) and isinstance(golds[0], list)
    calls = [_parsed_call(text, functions, where) for text in golds[0]] if multi_turn else golds
    if multi_turn and not calls:
        raise UnusableRowError(
            f"{where}: the first turn has no reference call, and later turns depend on services' answers"
        )
    if not all(isinstance(call, Mapping) and len(call) == 1 for call in calls):
        raise ConfigError(f"{where}: field ground_truth must be a list of {{function: {{argument: [values]}}}}")
    extra = {
        "split": split,
        "index": index,
        "id": name,
        "category": category,
        "language": next((word for word in ("javascript", "java") if word in category.split("_")), "python"),
        "num_turns": len(turns),
        "later_turns": json.dumps(turns[1:]) if multi_turn else None,
        "later_calls": json.dumps(golds[1:]) if multi_turn else None,
        "initial_config": json.dumps(row.get("initial_config")) if multi_turn else None,
    }
    truth = {"functions": functions, "calls": calls}
    made = problem_row("", "gorilla-llm/Berkeley-Function-Calling-Leaderboard", "function_calling", truth, extra)
    return {**made, "prompt": _prompt(turns[0], functions, where)}


def _prompt(messages: list[Any], functions: list[Any], where: str) -> list[dict[str, str]]:
    """The first turn's messages, the last of which gets the functions."""
    good = all(isinstance(m, Mapping) and isinstance(m.get("content"), str) and m.get("role") for m in messages)
    if not messages or not good:
        raise ConfigError(f"{where}: field question[0] must be a list of {{role, content}}")
    listed = "\n".join(json.dumps(function, ensure_ascii=False) for function in functions)
    *before, last = ({"role": message["role"], "content": message["content"].strip()} for message in messages)
    return [*before, {**last, "content": f"{last['content']}\n\nFunctions:\n{listed}"}]


def _parsed_call(text: Any, functions: list[Any], where: str) -> dict[str, dict[str, list[Any]]]:
    """A reference call in Python syntax, positional arguments named after the function's properties."""
    try:
        match ast.parse(text, mode="eval").body:
            case ast.Call(ast.Name(name), positional, keywords):
                described = next((one for one in functions if one["name"] == name), {})
                names = list(described.get("parameters", {}).get("properties", ()))
                pairs = [*zip(names, positional, strict=False), *((word.arg, word.value) for word in keywords)]
                return {name: {str(key): [_accepted(ast.literal_eval(value))] for key, value in pairs}}
    except (SyntaxError, ValueError, TypeError) as error:
        raise ConfigError(f"{where}: reference call {text!r} cannot be read: {error}") from error
    raise ConfigError(f"{where}: reference call {text!r} is not a call of a function by name")


def _accepted(value: Any) -> Any:
    """A value in the terms of possible answers, where an object holds lists of accepted values by key."""
    if isinstance(value, dict):
        return {str(key): [_accepted(item)] for key, item in value.items()}
    return [_accepted(item) for item in value] if isinstance(value, list | tuple) else value


def _service_functions(row: Row, path: Path, where: str) -> list[Any]:
    """Descriptions of all functions of the services that a multi-turn row involves."""
    excluded = row.get("excluded_function") or []
    functions: list[Any] = []
    for service in row.get("involved_classes") or ():
        if service not in _SERVICES:
            raise ConfigError(f"{where}: field involved_classes names {service!r}, which has no functions here")
        functions += _documents(_companion(path.parent / DOCUMENTS, _SERVICES[service], where))
    return [function for function in functions if function["name"] not in excluded]


def _companion(folder: Path, stem: str, where: str) -> Path:
    """The file of this name in a folder beside the questions."""
    found = next((folder / f"{stem}{ending}" for ending in _ENDINGS if (folder / f"{stem}{ending}").is_file()), None)
    if found is None:
        raise ConfigError(f"{where}: {folder / stem}.jsonl is missing, which belongs to this file of questions")
    return found


@functools.lru_cache(maxsize=4)
def _answers(path: Path) -> Mapping[str, Any]:
    rows = open_raw_file(path)
    return {row["id"]: row["ground_truth"] for row in map(rows.row, range(len(rows)))}


@functools.lru_cache(maxsize=32)
def _documents(path: Path) -> list[Any]:
    rows = open_raw_file(path)
    return [{**rows.row(index)} for index in range(len(rows))]
