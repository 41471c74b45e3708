# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.records import ConfigError, Problem
from grpo_jax.rewards.behaviour.reasoning_format import format_approximate, format_exact, think_format

PROBLEM = Problem("p", "math", (), "5")
GOOD = "<reasoning>2 + 3</reasoning>\n<answer>5</answer>"


@pytest.mark.parametrize(
    ("completion", "exact", "approximate"),
    [
        (GOOD, 3.0, 2.0),
        (f"\n {GOOD} \n", 3.0, 2.0),
        (f"Sure. {GOOD}", 0.0, 2.0),
        (f"{GOOD} Done.", 0.0, 2.0),
        ("<reasoning>2 + 3</reasoning> so <answer>5</answer>", 0.0, 2.0),
        ("<answer>5</answer><reasoning>2 + 3</reasoning>", 0.0, 2.0),
        ("<reasoning></reasoning><answer>5</answer>", 0.0, 2.0),
        ("<reasoning>2 + 3</reasoning><answer> </answer>", 0.0, 2.0),
        ("<reasoning>2 + 3<answer>5</answer></reasoning>", 0.0, 2.0),
        ("<reasoning>a</reasoning><reasoning>b</reasoning><answer>5</answer>", 0.0, 0.0),
        (GOOD + GOOD, 0.0, -2.0),
        ("<reasoning>2 + 3</reasoning><answer>5", 0.0, 1.0),
        ("<answer>5</answer>", 0.0, 0.0),
        ("<REASONING>a</REASONING><answer>5</answer>", 0.0, 0.0),
        ("5", 0.0, -2.0),
        ("", 0.0, -2.0),
    ],
)
def test_tags_earn_by_shape_and_by_presence(completion: str, exact: float, approximate: float):
    assert format_exact(PROBLEM, completion).value == exact
    assert format_approximate(PROBLEM, completion).value == approximate


def test_tags_and_values_can_be_set():
    tags = ("[work]", "[/work]", "[out]", "[/out]")
    text = "[work]a[/work][out]5[/out]"
    assert format_exact(PROBLEM, text, tags=tags, value=1.0).value == 1.0
    assert format_exact(PROBLEM, text).value == 0.0
    assert format_approximate(PROBLEM, text, tags=tags, present=0.25, absent=-1.0).value == 1.0
    assert format_approximate(PROBLEM, "[work]", tags=tags, present=0.25, absent=-1.0).value == -2.75


@pytest.mark.parametrize("tags", ["<a>", ("<a>", "</a>"), ("<a>", "</a>", "<b>", "")])
def test_wrong_tags_are_the_users_mistake(tags):
    with pytest.raises(ConfigError, match="four tags"):
        format_exact(PROBLEM, GOOD, tags=tags)


@pytest.mark.parametrize(
    ("completion", "value", "value_when_opened"),
    [
        ("<think>hm</think>5", 1.0, 0.0),
        ("\n<think>\nhm\n</think>\n5", 1.0, 0.0),
        ("<think></think>5", 1.0, 0.0),
        ("hm</think>5", 0.0, 1.0),
        ("So <think>hm</think>5", 0.0, 0.0),
        ("<think>hm</think> ", 0.0, 0.0),
        ("hm</think>\n", 0.0, 0.0),
        ("<think>a</think><think>b</think>5", 0.0, 0.0),
        ("<think>a<think>b</think>5", 0.0, 0.0),
        ("<think>hm 5", 0.0, 0.0),
        ("</think>5<think>", 0.0, 0.0),
        ("5", 0.0, 0.0),
    ],
)
def test_thinking_stands_before_the_answer(completion: str, value: float, value_when_opened: float):
    assert think_format(PROBLEM, completion).value == value
    assert think_format(PROBLEM, completion, opened_by_prompt=True).value == value_when_opened
