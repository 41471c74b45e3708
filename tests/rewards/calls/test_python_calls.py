# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import random

import pytest

from grpo_jax.rewards.calls.python_calls import MAX_DEPTH, Call, CallSyntaxError, read_python_calls


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("f()", [Call("f", {})]),
        ("[]", []),
        (" [ f( ) ] ", [Call("f", {})]),
        ("f(a=1, b=-2.5, c='x')", [Call("f", {"a": 1, "b": -2.5, "c": "x"})]),
        ("[a.b.c(x=True), g(y=None,)]", [Call("a.b.c", {"x": True}), Call("g", {"y": None})]),
        ("f(a=true, b=false, c=null)", [Call("f", {"a": True, "b": False, "c": None})]),
        ("f(a=1)\ng(b=2)", [Call("f", {"a": 1}), Call("g", {"b": 2})]),
        ("f(a=[1, [2, 3], []])", [Call("f", {"a": [1, [2, 3], []]})]),
        ("f(a=(1, 2), b=(3), c=(4,), d=())", [Call("f", {"a": [1, 2], "b": 3, "c": [4], "d": []})]),
        ("f(a={'k': {'l': 1}, \"m\": []})", [Call("f", {"a": {"k": {"l": 1}, "m": []}})]),
        (r"""f(a="it's", b='a "b" \' \n \u00e9 \\')""", [Call("f", {"a": "it's", "b": 'a "b" \' \n é \\'})]),
        ("f(a='one ' 'two')", [Call("f", {"a": "one two"})]),
        ("f(a='x), g(b=1')", [Call("f", {"a": "x), g(b=1"})]),
        ("f(a=1_000, b=1e3, c=.5, d=+5, e=5.)", [Call("f", {"a": 1000, "b": 1000.0, "c": 0.5, "d": 5, "e": 5.0})]),
        ("größe(länge=1)", [Call("größe", {"länge": 1})]),
    ],
)
def test_calls_with_literals_are_read(text: str, calls: list[Call]):
    assert read_python_calls(text) == calls


@pytest.mark.parametrize(
    "text",
    [
        "", "f", "f(", "f(a=1", "[f(a=1)", "f(a=1)]", "[f(a=1)] done", "f(1)", "f(a)", "f(a=b)", "f(a=g())", "f(**{})",
        "f(a=1, a=2)", "f(a={'k': 1, 'k': 2})", "f(a={1: 2})", "f(a={'k'})", "f(a=1+1)", "f(a=--1)", "f(a=-'x')",
        "f(a='x)", "f(a='x\ny')", "f(a=lambda: 1)", "f(a=f'x')", "f(a=b'x')", "f(a='\\N{nothing}')", "f(a=1 b=2)",
        "f(,)", "f(a=1,,b=2)", "[f(),,g()]", "[,]", "f()()", "f().g()", "f(a=[1)", "True()", "f(a.b=1)", "import os",
        "f(a=[x for x in y])", "f(a=0x10)", "f(a=1e999)", "f(a=nan)", "f(a=" + "9" * 500 + ")", "1", "[1, 2]",
        "f(a=1);g()",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str):
    with pytest.raises(CallSyntaxError):
        read_python_calls(text)


def test_nesting_is_bounded():
    depth = MAX_DEPTH - 1
    assert read_python_calls(f"f(a={'[' * depth}{']' * depth})")[0].name == "f"
    for opening in ("[", "(", "{'k':", "-"):
        with pytest.raises(CallSyntaxError):
            read_python_calls(f"f(a={opening * 100_000}")


def _random_value(generator: random.Random, depth: int = 0) -> object:
    kind = generator.randrange(8 if depth < 4 else 5)
    if kind < 5:
        text = "".join(generator.choice("ab '\"\\\n\té(=)[]{},") for _ in range(generator.randrange(8)))
        return [generator.randint(-(10**9), 10**9), generator.uniform(-1e3, 1e3), True, None, text][kind]
    if kind < 7:
        return [_random_value(generator, depth + 1) for _ in range(generator.randrange(4))]
    return {f"k{index} ": _random_value(generator, depth + 1) for index in range(generator.randrange(4))}


def test_what_python_prints_is_read_back():
    generator = random.Random(3)
    for _ in range(300):
        arguments = {f"a{index}": _random_value(generator) for index in range(3)}
        text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        assert read_python_calls(f"[f({text})]") == [Call("f", arguments)], text
