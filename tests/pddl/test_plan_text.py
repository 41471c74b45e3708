# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from grpo_jax.pddl.plan_text import PlanError, read_plan_file, read_steps
from grpo_jax.records import ConfigError

PICK = ("pick", "a", "b")


@pytest.mark.parametrize(
    "line",
    [
        "(pick a b)", "  (PICK  A\tb ) ", "3: (pick a b)", "3. (pick a b)", "3) (pick a b)", "Step 3: (pick a b)",
        "0.003: (pick a b) [1.000]", "- (pick a b)", "* (pick a b)", "(pick a b) ; take it", "`(pick a b)`",
        "1. `(pick a b)`", "**(pick a b)**", "(pick a b),", "(pick a b).", "```(pick a b)```",
    ],
)  # fmt: skip
def test_usual_dresses_of_a_step_read_alike(line):
    assert read_steps(line) == [PICK]


def test_several_steps_may_share_a_line():
    assert read_steps("(pick a b)(drop a), (move)") == [PICK, ("drop", "a"), ("move",)]


@pytest.mark.parametrize(
    "line", ["", "; cost = 3", "pick a b", "1. pick a from b", "Then we (maybe) move.", "```pddl", "3:"]
)
def test_prose_holds_no_steps(line):
    assert read_steps(line) == []


@pytest.mark.parametrize(
    "line", ["(pick a b", "(pick a b) and then", "()", "((pick a) b)", "(pick a b))", "2. (pick a"]
)
def test_a_line_in_parentheses_that_is_not_made_of_steps_is_an_error(line):
    with pytest.raises(PlanError):
        read_steps(line)


@pytest.mark.parametrize(
    "line",
    ["(" * 200_000, "( a" * 100_000, "(a)" * 100_000 + "x", "1) (" + " " * 300_000, "(" + "a " * 100_000 + "))"],
    ids=range(5),
)
def test_huge_malformed_lines_are_errors_and_not_a_hang(line):
    with pytest.raises(PlanError):
        read_steps(line)


@pytest.mark.parametrize("line", ["1" * 300_000, "[" * 300_000, "1.1" * 100_000 + "(a)", "`" * 300_000], ids=range(4))
def test_huge_prose_is_passed_over(line):
    assert read_steps(line) == []


def test_plan_files_are_read_whole_or_refused_with_their_line(tmp_path):
    path = tmp_path / "p.soln"
    path.write_text("(pick a b)\n\n(DROP a)\n; cost = 2 (unit cost)\n")
    assert read_plan_file(path) == (PICK, ("drop", "a"))
    path.write_text("(pick a b)\n(drop\n")
    with pytest.raises(ConfigError, match=r"p\.soln:2: not made of steps"):
        read_plan_file(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_plan_file(tmp_path / "absent.soln")
