# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Values of the outcome classes, worked by hand on a small problem and checked on all public ones."""

import itertools
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_jax.config import Domain
from grpo_jax.pddl.execution import Outcome, execute
from grpo_jax.pddl.plan_text import read_steps
from grpo_jax.pddl.task import load_task
from grpo_jax.records import ConfigError, PartScore, Problem, RewardStatus
from grpo_jax.rewards.planning.plan_rewards import planning_dense_reward, planning_reward
from grpo_jax.rewards.router import Router
from tests.fakes.corridor_problem import CIRCLES, SOLUTION, STEPS, write_corridor

FAIL, PASS = RewardStatus.FAIL, RewardStatus.PASS


@pytest.fixture
def corridor(tmp_path) -> Callable[..., Problem]:
    """The problem of the corridor, in a new folder each time."""
    numbers = itertools.count()
    return lambda *arguments, **named: write_corridor(tmp_path / f"corridor{next(numbers)}", *arguments, **named)


@pytest.fixture(scope="module")
def corridor_once(tmp_path_factory) -> Problem:
    """One for all examples of a property."""
    return write_corridor(tmp_path_factory.mktemp("shared") / "corridor")


def both(problem: Problem, *steps: str, **kwargs) -> tuple[float, float]:
    return tuple(
        reward(problem, "\n".join(steps), **kwargs).value for reward in (planning_reward, planning_dense_reward)
    )


def test_a_valid_plan_scores_one_whatever_its_length(corridor):
    for plan in (SOLUTION, ["(go r1 r2)", "(go r2 r1)", *SOLUTION]):
        assert both(corridor(), *plan) == (1.0, 1.0)
        assert planning_reward(corridor(), "\n".join(plan)).status is PASS


@pytest.mark.parametrize(
    ("steps", "classes", "dense"),
    [
        (["(go r1 r2)"], -0.4 + 0.3 * 1 / 3, -0.1),
        (["(grab x r1)", "(go r1 r2)", "(put x r2)"], -0.4 + 0.3 * 2 / 3, 0.8 * 1 / 2),
        (["(go r1 r2)", "(go r2 r3)", "(grab z r3)"], -0.4, -0.1),
        (["(grab x r2)"], -0.6 + 0.3 * 1 / 6, -0.9),
        (["(go r1 r2)", "(go r2 r1)", "(go r2 r1)"], -0.6 + 0.3 * 3 / 6, -0.9),
        (["(grab x r1)", "(go r1 r2)", "(put x r2)", "(put y r2)"], -0.6 + 0.3 * 4 / 6, -0.9 + 0.4 * 3 / 6 + 0.4 / 2),
        ([*["(go r1 r2)", "(go r2 r1)"] * 5, "(put x r1)"], -0.6 + 0.3, -0.9),
    ],
)
def test_unfinished_and_violating_plans_score_by_their_progress(corridor, steps, classes, dense):
    assert both(corridor(), *steps) == pytest.approx((classes, dense))
    assert planning_reward(corridor(), "\n".join(steps)).status is FAIL


def test_a_broken_constraint_scores_below_all_other_violations(corridor):
    problem = corridor("(and (sometime-before (held y) (at x r3)) (always (not (held z))))")
    assert both(problem, *SOLUTION) == pytest.approx((-0.9 + 0.3 * 4 / 6, -0.9 + 0.4 * 4 / 6 + 0.4 * 1 / 2))
    assert both(problem, "(go r1 r2)") == pytest.approx((-0.3, -0.1))
    assert both(corridor("(sometime (held z))"), *SOLUTION) == pytest.approx((-0.6, -0.1))
    assert both(corridor("(always (held z))"), *SOLUTION) == pytest.approx((-0.9, -0.9))


@pytest.mark.parametrize(
    ("completion", "status"),
    [
        ("", RewardStatus.NO_ANSWER),
        ("I would carry x to the next room.", RewardStatus.NO_ANSWER),
        ("(grab x r1", RewardStatus.UNPARSABLE),
        ("(teleport x r2)", RewardStatus.UNPARSABLE),
        ("(grab x)", RewardStatus.UNPARSABLE),
        ("(grab w r1)", RewardStatus.UNPARSABLE),
        ("(grab r1 x)", RewardStatus.UNPARSABLE),
        ("(grab x r1)\n(teleport x r2)", RewardStatus.UNPARSABLE),
        ("(go r1 r2)(go r2 r1)" * 501, RewardStatus.UNPARSABLE),
        ("(" * 100_000, RewardStatus.UNPARSABLE),
    ],
    ids=range(10),
)
def test_what_is_no_plan_of_the_problem_scores_lowest(corridor, completion, status):
    for reward in (planning_reward, planning_dense_reward):
        part = reward(corridor(), completion)
        assert (part.value, part.status) == (-1.0, status)


def test_every_value_can_be_set(corridor):
    problem = corridor("(always (not (held z)))")
    values = {
        "success": 2.0, "goals_missing": -10.0, "goals_missing_span": 6.0, "precondition_violated": -20.0,
        "precondition_violated_span": 6.0, "constraint_violated": -30.0, "constraint_violated_span": 6.0,
        "unreadable": -40.0, "max_steps": 6,
    }  # fmt: skip
    plans = [
        SOLUTION,
        ["(go r1 r2)"],
        ["(go r2 r1)"],
        ["(go r1 r2)", "(go r2 r3)", "(grab z r3)"],
        [],
        ["(go r1 r2)"] * 7,
    ]
    found = [planning_reward(problem, "\n".join(plan), **values).value for plan in plans]
    assert found == pytest.approx([2.0, -8.0, -19.0, -27.0, -40.0, -40.0])
    dense = {
        "success": 2.0, "progress_weight": 1.5, "no_progress": -3.0, "stopped": -20.0, "executed_weight": 6.0,
        "stopped_progress_weight": 4.0, "unreadable": -40.0, "max_steps": 6,
    }  # fmt: skip
    plans = [SOLUTION, SOLUTION[:3], ["(go r1 r2)"], [*SOLUTION[:3], "(go r1 r2)"], [], ["(go r1 r2)"] * 7]
    found = [planning_dense_reward(problem, "\n".join(plan), **dense).value for plan in plans]
    assert found == pytest.approx([2.0, 0.75, -3.0, -20.0 + 3.0 + 2.0, -40.0, -40.0])


def test_without_a_reference_plan_the_plans_own_length_stands_in(corridor):
    steps = ["(go r1 r2)", "(go r2 r3)", "(go r1 r2)", "(go r2 r3)"]
    assert both(corridor(reference=False), *steps) == pytest.approx((-0.6 + 0.3 * 3 / 4, -0.9 + 0.4 * 2 / 4))


def test_a_named_plan_file_wins_over_the_one_beside_the_problem(corridor, tmp_path):
    problem = corridor()
    (tmp_path / "long.plan").write_text("(go r1 r2)\n" * 30)
    named = Problem("p", "d", (), {**problem.ground_truth, "plan_file": str(tmp_path / "long.plan")})
    assert planning_reward(named, "(grab x r2)").value == pytest.approx(-0.6 + 0.3 / 30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem_file": "absent.pddl"}, "absent.pddl: No such file"),
        ({"plan_file": "absent.soln"}, "absent.soln: No such file"),
        ({"domain_file": None}, "problem p: ground truth lacks domain_file"),
        ({"plan_file": ["go"]}, "problem p: ground truth plan_file is"),
    ],
)
def test_a_ground_truth_that_cannot_be_used_is_named_and_makes_the_reward_invalid(corridor, change, message):
    problem = Problem("p", "d", (), {**corridor().ground_truth, **change})
    with pytest.raises(ConfigError, match=message):
        planning_reward(problem, "(go r1 r2)")
    reward = Router({problem.domain: Domain(rewards={"planning": 1.0})}).score(problem, "(go r1 r2)")
    assert (reward.status, reward.total) == (RewardStatus.INVALID, None)
    assert message in reward.reason


random_plans = st.lists(st.sampled_from(STEPS), min_size=1, max_size=12)
guided_plans = st.builds(
    lambda cut, tail: [*SOLUTION[:cut], *tail], st.integers(1, 6), st.lists(st.sampled_from(STEPS), max_size=4)
)
plans = random_plans | guided_plans
many = settings(max_examples=150, deadline=None, derandomize=True)


def dense(problem: Problem, steps: list[str]) -> PartScore:
    return planning_dense_reward(problem, "\n".join(steps))


def executed_steps(problem: Problem, steps: list[str]) -> int:
    """Steps in front of the one that fails, or all."""
    task = load_task(problem.ground_truth["domain_file"], problem.ground_truth["problem_file"])
    execution = execute(task, [read_steps(step)[0] for step in steps])
    return execution.step - (execution.outcome is Outcome.PRECONDITION_VIOLATED)


@many
@given(plan=plans)
def test_only_valid_plans_reach_one_and_stopped_ones_stay_below_zero(corridor_once, plan):
    part = dense(corridor_once, plan)
    assert (part.value == 1.0) == (part.status is PASS)
    assert -0.9 <= part.value <= 1.0
    if executed_steps(corridor_once, plan) < len(plan):
        assert part.value < 0.0


@many
@given(plan=plans)
def test_ending_before_the_step_that_fails_never_lowers_the_score(corridor_once, plan):
    executed = executed_steps(corridor_once, plan)
    if 0 < executed < len(plan):
        assert dense(corridor_once, plan[:executed]).value > dense(corridor_once, plan).value


@many
@given(plan=plans, tail=random_plans)
def test_what_is_written_behind_a_step_that_fails_changes_nothing(corridor_once, plan, tail):
    if executed_steps(corridor_once, plan) < len(plan):
        assert dense(corridor_once, [*plan, *tail]) == dense(corridor_once, plan)


@many
@given(plan=plans, where=st.integers(0, 12), times=st.integers(1, 5))
def test_going_in_circles_never_raises_the_score(corridor_once, plan, where, times):
    where = min(where, executed_steps(corridor_once, plan))
    for there, back in CIRCLES:
        for circle in ([there, back], [back, there]):
            if executed_steps(corridor_once, [*plan[:where], *circle]) == where + 2:
                padded = [*plan[:where], *circle * times, *plan[where:]]
                assert dense(corridor_once, padded).value <= dense(corridor_once, plan).value


@many
@given(padding=st.lists(st.tuples(st.integers(0, 6), st.sampled_from(CIRCLES)), max_size=4), cut=st.integers(1, 13))
def test_cutting_a_valid_plan_short_of_its_goals_lowers_the_score(corridor_once, padding, cut):
    plan = list(SOLUTION)
    for where, circle in padding:
        if executed_steps(corridor_once, [*plan[:where], *circle]) == where + 2:
            plan[where:where] = circle
    assert dense(corridor_once, plan).status is PASS
    part = dense(corridor_once, plan[:cut])
    assert part.status is PASS or part.value <= 0.4


def public_problems(root: Path) -> list[tuple[Problem, list[str]]]:
    """The public problems with their reference plans."""
    found = []
    for domain in sorted((root / "pddl").glob("*/domain.pddl")):
        for problem in sorted((domain.parent / "problems").glob("*.pddl")):
            plan = domain.parent / "plans" / f"{problem.stem}.soln"
            files = {"domain_file": str(domain), "problem_file": str(problem), "plan_file": str(plan)}
            truth = {**files, "scenario": domain.parent.name}
            found.append((Problem(problem.stem, domain.parent.name, (), truth), plan.read_text().splitlines()))
    return found


def test_reference_plans_of_all_public_problems_score_one(shared_data):
    problems = public_problems(shared_data)
    assert Counter(problem.domain for problem, _ in problems) == {
        "blocksworld": 149, "delivery": 150, "ferry": 150, "grippers": 150, "spanner": 150,
    }  # fmt: skip
    for problem, plan in problems:
        completion = "<think>(wander off)</think>The plan:\n```\n" + "\n".join(plan) + "\n```"
        for reward in (planning_reward, planning_dense_reward):
            assert reward(problem, completion) == PartScore(1.0, PASS), problem.id


def test_damaged_reference_plans_fall_into_their_classes(shared_data):
    rng = random.Random(0)
    for problem, plan in public_problems(shared_data):
        # The reference plans are the shortest, so no cut reaches the goals.
        cut = plan[: rng.randrange(1, len(plan))]
        part = planning_reward(problem, "\n".join(cut))
        assert part.status is FAIL
        assert -0.4 <= part.value < -0.1
        # No step of these plans can be taken twice in a row.
        twice = rng.randrange(len(plan))
        part = planning_reward(problem, "\n".join([*plan[: twice + 1], *plan[twice:]]))
        assert part == PartScore(pytest.approx(-0.6 + 0.3 * min(1.0, (twice + 2) / len(plan))), FAIL), problem.id
        # Backwards, the first step lacks what the others bring about.
        part = planning_reward(problem, "\n".join(reversed(plan)))
        assert part == PartScore(pytest.approx(-0.6 + 0.3 / len(plan)), FAIL), problem.id
        for wrong in (plan[0].replace("(", "(do-"), plan[0].replace(")", " nothing)"), plan[0][:-1], f"({plan[0]})"):
            part = planning_reward(problem, "\n".join([*plan[1:], wrong]))
            assert part == PartScore(-1.0, RewardStatus.UNPARSABLE)
        assert (
            planning_reward(problem, " ".join(plan).replace("(", "").replace(")", "")).status is RewardStatus.NO_ANSWER
        )


def test_shuffled_reference_plans_are_mostly_stopped_and_never_unreadable(shared_data):
    rng = random.Random(1)
    statuses: Counter[RewardStatus | None] = Counter()
    for problem, plan in public_problems(shared_data):
        part = planning_reward(problem, "\n".join(rng.sample(plan, len(plan))))
        statuses[part.status] += 1
        assert part.status is PASS or -0.6 < part.value <= -0.1
    assert statuses[FAIL] > 650
    assert set(statuses) <= {PASS, FAIL}
