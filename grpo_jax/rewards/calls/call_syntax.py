# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Finds function calls in a completion, in the three ways in which model families write them.

1. Qwen and Hermes: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, one call a block, prose around allowed.
2. Llama: the whole text is `{"name": ..., "parameters": {...}}`, several separated by `;` or lines, or a JSON list.
3. Python: the whole text is `[f(a=1), g()]` or such calls on lines of their own.

Only text after the last `</think>` counts, of that the last `<answer>` section where there is one, and of a whole text
the inside of one code fence. Reading is strict: an attempt that breaks a rule (repeated or further fields, NaN, an
unclosed block) is an attempt, neither a call nor abstention.
"""

import json
import math
import re
from collections.abc import Collection
from typing import Any

from grpo_jax.rewards.calls.python_calls import MAX_DEPTH, Call, CallSyntaxError, read_python_calls
from grpo_jax.rewards.extraction import final_part
from grpo_jax.rewards.tagged_text import ANSWER_TAGS, last_section

MAX_LENGTH = 50_000
"""Characters; longer texts that attempt calls are not read."""
_BLOCK = ("<tool_call>", "</tool_call>")
_MARKERS = ("<|python_tag|>", "<|python_start|>", "<|python_end|>")
_FENCE = re.compile(r"```[A-Za-z_]*[ \t]*\n(.*)```", re.DOTALL)
_PYTHON_START = re.compile(r"\[\s*(?:\]|[^\W\d][\w.]*\s*\()|[^\W\d][\w.]*\(")
_JSON_START = re.compile(r"\{|\[\s*\{")
_ATTEMPT = re.compile(r"</?tool_call|<function|<\|python|[\"']name[\"']\s*:")
_NAMED_CALL = re.compile(r"(?<![\w.])([^\W\d][\w.]*)\s*\(")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CallSyntaxError("a key is given twice")
    return found


def _no_constant(text: str) -> None:
    raise CallSyntaxError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise CallSyntaxError("a number beyond floating point")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)


def _deeper(value: Any, depth: int) -> bool:
    """Whether anything lies deeper, without the recursion that depth would exhaust."""
    level = [value]
    for _ in range(depth + 1):
        inside = [own.values() if isinstance(own, dict) else own for own in level if isinstance(own, dict | list)]
        level = [item for own in inside for item in own]
    return bool(level)


def _json_values(text: str) -> list[Any]:
    """JSON values behind each other, with `;` or white space between them."""
    values, position = [], 0
    text = text.strip()
    while position < len(text):
        try:
            value, position = _DECODER.raw_decode(text, position)
        except CallSyntaxError:
            raise
        except (ValueError, RecursionError) as error:
            raise CallSyntaxError("not JSON") from error
        if _deeper(value, MAX_DEPTH):
            raise CallSyntaxError(f"nested more than {MAX_DEPTH} deep")
        values.append(value)
        rest = text[position : position + 64]
        gap = re.match(r"\s*;?\s*", rest)
        position += gap.end() if gap else 0
    return values


def _call(value: Any, argument_fields: Collection[str]) -> Call:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or len(value) != 2:
        raise CallSyntaxError("a call has exactly a name and arguments")
    field = next((field for field in argument_fields if field in value), None)
    if field is None or not isinstance(value[field], dict):
        raise CallSyntaxError(f"the arguments stand in an object named {' or '.join(argument_fields)}")
    return Call(value["name"], value[field])


def _blocks(text: str) -> list[Call]:
    opening, closing = _BLOCK
    calls = []
    head, *rest = text.split(opening)
    if closing in head:
        raise CallSyntaxError("a block closes that was never opened")
    for part in rest:
        inside, closed, outside = part.partition(closing)
        if not closed or closing in outside:
            raise CallSyntaxError("a block is not closed, or closes twice")
        values = _json_values(inside)
        if len(values) != 1:
            raise CallSyntaxError("a block holds one call")
        calls.append(_call(values[0], ("arguments",)))
    return calls


def _json_calls(text: str) -> list[Call]:
    values = _json_values(text)
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    return [_call(value, ("parameters", "arguments")) for value in values]


def _whole(completion: str) -> str:
    text = final_part(completion)
    if any(tag in text for tag in _BLOCK):  # blocks count wherever they stand
        return text
    section = last_section(text, ANSWER_TAGS)
    text = text if section is None else section
    for marker in _MARKERS:
        text = text.replace(marker, "")
    text = text.strip()
    fenced = _FENCE.fullmatch(text) if text.startswith("```") else None
    return fenced.group(1).strip() if fenced and "```" not in fenced.group(1) else text


def attempts_call(text: str, functions: Collection[str]) -> bool:
    """Whether a text holds what looks like a call, whole or broken."""
    return bool(_ATTEMPT.search(text)) or any(
        match.group(1).rpartition(".")[2] in functions or match.group(1) in functions
        for match in _NAMED_CALL.finditer(text)
    )


def read_calls(completion: str, functions: Collection[str]) -> list[Call]:
    """Read the calls that a completion makes.

    Args:
        completion: Decoded text of the assistant's turn.
        functions: Names of the functions on offer; prose that calls one of them is a broken attempt.

    Returns:
        The calls in order; empty where none is attempted.

    Raises:
        CallSyntaxError: A call is attempted and cannot be read.
    """
    text = _whole(completion)
    is_json = _JSON_START.match(text) is not None
    is_python = _PYTHON_START.match(text) is not None and text.endswith((")", "]"))
    if not (is_json or is_python or attempts_call(text, functions)):
        return []
    if len(text) > MAX_LENGTH:
        raise CallSyntaxError(f"longer than {MAX_LENGTH} characters")
    if any(tag in text for tag in _BLOCK):
        return _blocks(text)
    if is_json:
        return _json_calls(text)
    if is_python:
        return read_python_calls(text)
    raise CallSyntaxError("a call inside other text")
