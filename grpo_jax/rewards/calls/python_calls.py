# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reads calls in Python syntax, `[f(a=1), g.h(b=["x", None])]`, without Python's own parser.

Model text is adversarial: `ast.parse` compiles anything and can be made to exhaust its stack. This reader knows calls
with keyword arguments and plain literals only, to a bounded depth, in one pass.
"""

import ast
import math
import re
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 40
"""Brackets inside brackets."""
_MAX_DIGITS = 400
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)"
    r"|(?P<number>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<sign>[-+()\[\]{},:=]))",
    re.DOTALL,
)
_CONSTANTS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}


class CallSyntaxError(ValueError):
    """The text is not calls in the expected syntax."""


@dataclass(frozen=True, slots=True)
class Call:
    """One function call as plain data."""

    name: str
    arguments: dict[str, Any]


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise CallSyntaxError(f"unexpected text at character {position}")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            position = match.end()
        self.index = 0

    def peek(self) -> str:
        """The text of the next sign; empty for any other token and at the end."""
        kind, text = self.tokens[self.index] if self.index < len(self.tokens) else ("sign", "")
        return text if kind == "sign" else ""

    def take(self) -> tuple[str, str]:
        if self.index >= len(self.tokens):
            raise CallSyntaxError("the text ends too early")
        self.index += 1
        return self.tokens[self.index - 1]

    def expect(self, sign: str) -> None:
        if self.take() != ("sign", sign):
            raise CallSyntaxError(f"expected {sign!r}")

    def until(self, closing: str) -> "_Items":
        return _Items(self, closing)

    def call(self) -> Call:
        kind, name = self.take()
        if kind != "name" or name in _CONSTANTS:
            raise CallSyntaxError("a call starts with the function's name")
        self.expect("(")
        arguments: dict[str, Any] = {}
        for _ in self.until(")"):
            kind, key = self.take()
            if kind != "name" or "." in key:
                raise CallSyntaxError("arguments are given by keyword")
            self.expect("=")
            if key in arguments:
                raise CallSyntaxError(f"argument {key!r} is given twice")
            arguments[key] = self.value(1)
        return Call(name, arguments)

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise CallSyntaxError(f"nested more than {MAX_DEPTH} deep")
        kind, text = self.take()
        if kind == "number":
            return _number(text)
        if kind == "string":
            return self.strings(text)
        if kind == "name":
            if text not in _CONSTANTS:
                raise CallSyntaxError(f"{text!r} is not a literal")
            return _CONSTANTS[text]
        if text in ("-", "+"):
            kind, digits = self.take()
            if kind != "number":
                raise CallSyntaxError("a sign stands before a number only")
            return -_number(digits) if text == "-" else _number(digits)
        if text == "[":
            return [self.value(depth + 1) for _ in self.until("]")]
        if text == "(":
            return self.parenthesised(depth)
        if text == "{":
            return self.mapping(depth)
        raise CallSyntaxError(f"unexpected {text!r}")

    def strings(self, first: str) -> str:
        parts = [_string(first)]
        while self.index < len(self.tokens) and self.tokens[self.index][0] == "string":
            parts.append(_string(self.take()[1]))
        return "".join(parts)

    def parenthesised(self, depth: int) -> Any:
        items = self.until(")")
        values = [self.value(depth + 1) for _ in items]
        return values[0] if len(values) == 1 and not items.trailing_comma else values

    def mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in self.until("}"):
            key = self.value(depth + 1)
            if not isinstance(key, str) or key in found:
                raise CallSyntaxError("keys of a dict are strings, each given once")
            self.expect(":")
            found[key] = self.value(depth + 1)
        return found


class _Items:
    """Iterates once for each comma-separated item before `closing`, which it takes; a last comma is allowed."""

    def __init__(self, reader: _Reader, closing: str) -> None:
        self.reader, self.closing, self.first, self.trailing_comma = reader, closing, True, False

    def __iter__(self) -> "_Items":
        return self

    def __next__(self) -> None:
        if not self.first and self.reader.peek() != self.closing:
            self.reader.expect(",")
            self.trailing_comma = self.reader.peek() == self.closing
        if self.reader.peek() == self.closing:
            self.reader.take()
            raise StopIteration
        self.first = False


def _number(text: str) -> int | float:
    digits = text.replace("_", "")
    if len(digits) > _MAX_DIGITS:
        raise CallSyntaxError("a number of too many digits")
    if digits.isdigit():
        return int(digits)
    value = float(digits)
    if not math.isfinite(value):
        raise CallSyntaxError("a number beyond floating point")
    return value


def _string(token: str) -> str:
    try:
        value = ast.literal_eval(token)  # one string token by the pattern above: nothing nests in it
    except (SyntaxError, ValueError) as error:
        raise CallSyntaxError("a string with an invalid escape") from error
    return value


def read_python_calls(text: str) -> list[Call]:
    """Read `f(a=1)`, several calls behind each other on lines of their own, or a list of calls; `[]` is no call.

    Raises:
        CallSyntaxError: The text is anything else, has positional or repeated arguments, or is nested too deeply.
    """
    reader = _Reader(text)
    if reader.peek() == "[":
        reader.take()
        calls = [reader.call() for _ in reader.until("]")]
    else:
        calls = [reader.call()]
        while reader.index < len(reader.tokens):
            calls.append(reader.call())
    if reader.index < len(reader.tokens):
        raise CallSyntaxError("text behind the calls")
    return calls
