# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Values by type hint: words of the command line to Python values, trees of plain values to frozen sections.

Knows the hints that config sections use: bool, int, float, str, Literal, unions with None, tuples, mappings with
string keys, functions, and dataclasses of these. A tree is a dataclass as nested dicts.
"""

import ast
import dataclasses
import functools
import json
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class WrongTypeError(ValueError):
    """A value that its hint does not allow; the message says what was wanted."""


@functools.cache
def field_hints(cls: type) -> dict[str, Any]:
    """Resolved type hint of each field of a dataclass, in order."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def optional_of(hint: Any) -> bool:
    """Whether the hint allows None."""
    return type(None) in _members(hint)


def section_of(hint: Any) -> tuple[Literal["dataclass", "mapping", "value"], Any]:
    """What a hint stands for, None aside: a dataclass, a mapping with its value hint, or a single value."""
    members = [member for member in _members(hint) if member is not type(None)]
    if len(members) == 1:
        if dataclasses.is_dataclass(members[0]):
            return "dataclass", members[0]
        if _is_mapping(members[0]):
            return "mapping", (get_args(members[0]) or (str, Any))[1]
    return "value", hint


def to_tree(value: Any) -> Any:
    """Dataclasses and mappings as nested dicts; other values as they are."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_tree(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: to_tree(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return tuple(to_tree(child) for child in value)
    return value


def default_tree(cls: type) -> dict[str, Any]:
    """The tree of a dataclass with all its defaults."""
    return to_tree(cls())


def build(hint: Any, value: Any, name: str) -> Any:
    """Check a plain value against a hint and build what the hint names.

    Args:
        hint: A type hint.
        value: A tree of plain values; integers pass for floats and lists for tuples.
        name: Dotted name for messages; empty at the root.

    Raises:
        WrongTypeError: `value` does not fit; the message names the field, what was wanted and the value.
    """
    members = _members(hint)
    if len(members) > 1:
        for member in members:
            if _fits(member, value):
                return build(member, value, name)
    elif dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        hints = field_hints(hint)  # type: ignore[arg-type]
        unknown = [key for key in value if key not in hints]
        if unknown:
            raise WrongTypeError(f"{name or 'config'} has no field {unknown[0]}; valid: {', '.join(hints)}")
        prefix = f"{name}." if name else ""
        return hint(**{key: build(hints[key], child, prefix + key) for key, child in value.items()})  # type: ignore[operator]
    elif _is_mapping(hint) and isinstance(value, Mapping):
        inner = (get_args(hint) or (str, Any))[1]
        return {key: build(inner, child, f"{name}.{key}") for key, child in value.items()}
    elif get_origin(hint) is tuple and isinstance(value, list | tuple):
        return tuple(build(get_args(hint)[0], child, name) for child in value)
    elif _fits(hint, value):
        return float(value) if hint is float else value
    raise WrongTypeError(f"{name} must be {describe(hint)}, got {value!r}")


def parse(hint: Any, text: str) -> Any:
    """Read a word of the command line as a value of the hint.

    Raises:
        WrongTypeError: The word is no such value; the message says what was wanted.
    """
    members = _members(hint)
    if len(members) > 1:
        if type(None) in members and text.lower() in ("none", "null"):
            return None
        for member in members:
            if member is not type(None):
                try:
                    return parse(member, text)
                except WrongTypeError:
                    continue  # another member of the union may fit; the union's own error follows
        raise WrongTypeError(describe(hint))
    if hint is str:
        return text
    if hint is Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    if get_origin(hint) is Literal:
        for option in get_args(hint):
            if text == str(option):
                return option
    elif get_origin(hint) is tuple:
        element = get_args(hint)[0]
        if text.lstrip().startswith(("[", "(")):
            return build(hint, _literal(hint, text), "each element")
        return tuple(parse(element, word.strip()) for word in text.split(",")) if text.strip() else ()
    elif hint is dict or _is_mapping(hint):
        value = _literal(hint, text)
        if isinstance(value, dict):
            return value
    elif hint is bool:
        if text.lower() in ("true", "false", "1", "0"):
            return text.lower() in ("true", "1")
    elif hint in (int, float):
        try:
            number = hint(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
    raise WrongTypeError(describe(hint))


def describe(hint: Any) -> str:
    """A hint in words for messages."""
    members = _members(hint)
    if len(members) > 1:
        return " or ".join("none" if member is type(None) else describe(member) for member in members)
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(str(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list of {describe(get_args(hint)[0])} (comma-separated, or as JSON)"
    if hint is dict or _is_mapping(hint):
        return "a JSON object"
    words = {bool: "bool (true or false)", int: "int", float: "float (finite)", str: "str"}
    return words.get(hint) or getattr(hint, "__name__", str(hint))


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is_mapping(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _fits(hint: Any, value: Any) -> bool:
    """Whether a plain value is of the hint's outermost type; a bool is never a number."""
    if hint is Any:
        return True
    if hint is type(None):
        return value is None
    if get_origin(hint) is Literal:
        return any(value == option and type(value) is type(option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple)
    if dataclasses.is_dataclass(hint) or _is_mapping(hint):
        return isinstance(value, Mapping)
    if get_origin(hint) is Callable:
        return callable(value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)


def _literal(hint: Any, text: str) -> Any:
    """JSON first, then Python's literals, which quote either way."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError) as error:
            raise WrongTypeError(describe(hint)) from error
