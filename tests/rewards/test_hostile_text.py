# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Completions are adversarial: every reward reads a long one in linear time, and none raises on it.

A quadratic search would take minutes on these texts, a catastrophic expression for ever; that is how this test fails.
"""

import pytest

from grpo_jax.records import PartScore, Problem
from grpo_jax.rewards.registry import resolve

PROBLEMS = {
    "math": Problem("p", "d", (), r"\sqrt{2}"),
    "choice": Problem("p", "d", (), {"label": "B", "choices": {"A": "acid rain", "B": "rain", "C": "3"}}),
    "yes_no": Problem("p", "d", (), "yes"),
    "text": Problem("p", "d", (), ["Paris", "the city of Paris"]),
    "calls": Problem("p", "d", (), {"functions": [{"name": "f"}], "calls": [{"f": {"a": [1]}}]}),
}
REWARDS = [
    *((name, "math") for name in (
        "math", "math_last_number", "answer_format", "answer_given", "boxed_format", "format_exact",
        "format_approximate", "think_format", "answer", "numbers", "refusal", "length_and_rambling",
        "reasoning_quality", "soft_overlong", "cosine_length", "repetition", "accuracy",
    )),
    ("answer", "text"), ("choice", "choice"), ("yes_no", "yes_no"), ("exact_match", "text"), ("text_f1", "text"),
    ("function_calls", "calls"),
]  # fmt: skip
UNITS = [
    "<answer>", "</answer>", "<answer></answer>", "<reasoning>", "</reasoning>", "</think>", "<tool_call>",
    "<tool_call></tool_call>", '{"name":', '"name" ', "[", "(", "{", "}", "f(", "[f(a=", "f(a=1)", "f (", "'", '"',
    "\\", "a", "a ", "a.", "A ", "(A)", "A or ", "1", "1,", "1.", "-", "#", "####", "answer is ", "option ",
    "I choose ", r"\boxed{", r"\text{", r"\frac", "^", "_", "$", "yes or ", "let us ", " ", "\n", "\t\r\n", "```",
    "```\n", "é",
    "\u2019", "{} ", ";", "0" * 50 + " ", "\x00", "\u200b",
]  # fmt: skip
FRAMES = ["{}", "<answer>{}</answer>", "answer is {}x", r"\boxed{{{}}}", "<reasoning>{}</reasoning>", "[f(a='{}"]


@pytest.mark.parametrize(("name", "kind"), REWARDS)
def test_long_repetitions_are_read_in_linear_time(name: str, kind: str):
    function = resolve(name).function
    for unit in UNITS:
        for frame in FRAMES:
            part = function(PROBLEMS[kind], frame.format(unit * (20_000 // len(unit))))
            assert isinstance(part, PartScore)
