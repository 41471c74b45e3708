# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.rewards.calls.call_syntax import MAX_LENGTH, read_calls
from grpo_jax.rewards.calls.python_calls import Call, CallSyntaxError

F1, G = Call("f", {"a": 1}), Call("g", {})
BLOCK = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
OTHER_BLOCK = '<tool_call>{"name": "g", "arguments": {}}</tool_call>'
LLAMA = '{"name": "f", "parameters": {"a": 1}}'
OTHER_LLAMA = '{"name": "g", "parameters": {}}'


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (BLOCK, [F1]),
        (f"I look it up.\n{BLOCK}\n{OTHER_BLOCK}", [F1, G]),
        (f"{BLOCK} Done.", [F1]),
        (f"<think>{OTHER_BLOCK}</think>{BLOCK}", [F1]),
        (f"<answer>{BLOCK}</answer>", [F1]),
        (f"{BLOCK}<answer>f</answer>", [F1]),
        (LLAMA, [F1]),
        (f"<|python_tag|>{LLAMA}", [F1]),
        (f"{LLAMA}; {OTHER_LLAMA}", [F1, G]),
        (f"{LLAMA}\n{OTHER_LLAMA}", [F1, G]),
        (f"[{LLAMA}, {OTHER_LLAMA}]", [F1, G]),
        (f"```json\n{LLAMA}\n```", [F1]),
        (f"<answer>{LLAMA}</answer>", [F1]),
        ('{"name": "f", "arguments": {"a": 1}}', [F1]),
        ("[f(a=1), g()]", [F1, G]),
        ("f(a=1)", [F1]),
        ("f(a=1)\ng()", [F1, G]),
        ("```python\n[f(a=1)]\n```", [F1]),
        ("<|python_start|>[f(a=1)]<|python_end|>", [F1]),
        ("<think>g()</think>\n\n[f(a=1)]", [F1]),
        ("[]", []),
        ("", []),
        ("None of the functions fits.", []),
        ("I would need the weight (in kg) for that.", []),
        ("f is no help here", []),
        ("The list [1, 2] is sorted.", []),
        ("Sum (a, b) does not exist.", []),
    ],
)
def test_three_ways_of_writing_calls_are_read(text: str, calls: list[Call]):
    assert read_calls(text, {"f", "g"}) == calls


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "f", "arguments": {"a": 1}}',
        '{"name": "f", "arguments": {"a": 1}}</tool_call>',
        f"{BLOCK}</tool_call>",
        f"<tool_call>{BLOCK}",
        f"{BLOCK}<tool_call>",
        "<tool_call></tool_call>",
        "<tool_call>f(a=1)</tool_call>",
        '<tool_call>{"name": "f"}</tool_call>',
        '<tool_call>{"name": "f", "arguments": "{}"}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": 1}, "id": 3}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": 1, "a": 2}}</tool_call>',
        '<tool_call>{"name": "f", "name": "g", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": NaN}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": Infinity}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": 1e999}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": ' + "9" * 10_000 + "}}</tool_call>",
        '<tool_call>{"name": "f", "parameters": {"a": 1}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {"a": 1}} and more</tool_call>',
        '<tool_call>[{"name": "f", "arguments": {}}]</tool_call>',
        '<tool_call>{"name": 5, "arguments": {}}</tool_call>',
        "<tool_call>" + '{"a":' * 20_000 + "</tool_call>",
        '<tool_call>{"name": "f", "arguments": {"a": ' + "[" * 60 + "]" * 60 + "}}</tool_call>",
        f"{LLAMA} as asked",
        f"Here: {LLAMA}",
        '{"name": "f", "parameters": {"a": 1}',
        '{"f": {"a": 1}}',
        "{'name': 'f', 'parameters': {}}",
        "[f(a=1), g()",
        "[f(1)]",
        "[f(a=__import__('os'))]",
        "Let us call f(a=1) then.",
        "The result of f(a=1)",
        f"```json\n{LLAMA}\n```\n```json\n{LLAMA}\n```",
        "[f(a='" + "x" * MAX_LENGTH + "')]",
    ],
)
def test_a_broken_attempt_is_neither_a_call_nor_abstention(text: str):
    with pytest.raises(CallSyntaxError):
        read_calls(text, {"f", "g"})
