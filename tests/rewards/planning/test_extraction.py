# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where plans are found."""

import pytest

from grpo_jax.pddl.plan_text import PlanError
from grpo_jax.rewards.planning.extraction import find_plan

GO, PICK = ("go", "a", "b"), ("pick", "x")


def found(completion: str):
    return find_plan(completion, max_steps=50)


@pytest.mark.parametrize(
    "completion",
    [
        "(go a b)\n(pick x)",
        "First I go.\n(go a b)\nThen I pick it up.\n(pick x)\nDone.",
        "1. (go a b)\n2. (pick x)",
        "0: (GO A B)\n1: (Pick X)",
        "Plan:\n```\n(go a b)\n(pick x)\n```\nThis works.",
        "```pddl\n(go a b)\n(pick x) ; take it\n; cost = 2 (unit cost)\n```",
        "<plan>(go a b) (pick x)</plan>",
        "<plan>\n```\n(go a b)\n(pick x)\n```\n</plan> (drop x)",
        "<answer>\nSteps:\n(go a b)\n(pick x)\n</answer>",
        "<ANSWER>(go a b)\n(pick x)</Answer>",
        "<answer>(stay)</answer> <plan>(go a b)(pick x)</plan> <answer>(stay)</answer>",
        "<plan>(stay)</plan>\n<plan>(go a b)(pick x)</plan>\n<plan> </plan>",
        "```\n(stay)\n```\nNo, better:\n```\n(go a b)\n(pick x)\n```\n```bash\nls\n```",
        "<think>(stay)\n<plan>(stay)</plan></think>\n(go a b)\n(pick x)",
        "<plan>\n(go a b)\n(pick x)",
        "```\n(go a b)\n(pick x)",
        "- `(go a b)`\n- `(pick x)`",
    ],
)
def test_plans_in_the_documented_places_are_found(completion):
    assert found(completion) == (GO, PICK)


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "I cannot solve this.",
        "go a b\npick x",
        "<plan></plan>",
        "(go a b)</think>",
        "```\n```",
        "<plan>no</plan>(go a b)",
    ],
)
def test_no_step_is_no_plan(completion):
    assert found(completion) == ()


@pytest.mark.parametrize(
    "completion",
    [
        "(go a b)\n(pick x",
        "<plan>(go a (b))</plan>",
        "```\n(go a b)\n(pick x) now\n```",
        "()",
        "(stay)\n" * 51,
        "(stay)" * 51,
    ],
)
def test_malformed_and_overlong_plans_are_errors(completion):
    with pytest.raises(PlanError):
        found(completion)


HOSTILE = [
    *(tag * 50_000 for tag in ("<plan>", "</plan>", "<answer>\n")),
    "```\n" * 100_001,
    "\n" * 300_000,
    "-" * 300_000,
]


@pytest.mark.parametrize("completion", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_hold_no_plan_and_do_not_hang(completion):
    assert found(completion) == ()
