# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Generated planning problems: valid, different, repeatable, and as short as promised."""

import json
import re
from collections import Counter, deque
from itertools import product
from pathlib import Path

import pytest

from grpo_jax.data.planning_problems.write import SCENARIOS, write_planning_problems
from grpo_jax.pddl.execution import Outcome, execute
from grpo_jax.pddl.plan_text import read_plan_file
from grpo_jax.pddl.task import Task, load_task
from grpo_jax.records import ConfigError, Problem, RewardStatus
from grpo_jax.rewards.planning.plan_rewards import planning_reward

NAMES = {
    "blocksworld": r"bw_ops4_n[3-8]_seed\d+",
    "ferry": r"ferry-l[3-6]-c[1-5]-s\d+",
    "grippers": r"grippers-n[12]-r[2-5]-o[2-5]-s\d+",
    "spanner": r"spanner-s[1-5]-n[1-5]-l[3-5]-s\d+",
    "delivery": r"delivery-s[2-5]-p[1-3]-seed\d+",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Forty problems of each scenario."""
    folder = tmp_path_factory.mktemp("generated")
    write_planning_problems(folder, count=40, seed=3)
    return folder


def rows(folder: Path, scenario: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{scenario}.jsonl").read_text(encoding="utf-8").splitlines()]


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rows_name_files_whose_plans_are_rewarded(written, scenario):
    found = rows(written, scenario)
    assert len({row["prompt"] for row in found}) == 40
    for row in found:
        meta = row["meta"]
        assert re.fullmatch(rf"{scenario}/{NAMES[scenario]}\.pddl", meta["problem_file"])
        assert meta["scenario"] == scenario
        truth = {name: str(written / meta[name]) for name in ("domain_file", "problem_file", "plan_file")}
        assert row["prompt"].endswith(Path(truth["problem_file"]).read_text().strip())
        assert Path(truth["domain_file"]).read_text().strip() in row["prompt"]
        part = planning_reward(Problem("p", scenario, (), truth), Path(truth["plan_file"]).read_text())
        assert (part.value, part.status) == (1.0, RewardStatus.PASS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_goal_holds_in_full_at_the_start(written, scenario):
    for row in rows(written, scenario):
        task = load_task(written / row["meta"]["domain_file"], written / row["meta"]["problem_file"])
        assert execute(task, []).outcome is Outcome.GOALS_MISSING


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_sizes_are_spread_evenly(written, scenario):
    stems = [Path(row["meta"]["problem_file"]).stem for row in rows(written, scenario)]
    sizes = Counter(re.sub(r"[-_]s(eed)?\d+$", "", stem) for stem in stems)
    combinations = [
        values
        for values in product(*(range(low, high + 1) for low, high in SCENARIOS[scenario].ranges.values()))
        if SCENARIOS[scenario].allowed(dict(zip(SCENARIOS[scenario].ranges, values, strict=True)))
    ]
    assert len(sizes) == min(40, len(combinations))
    assert max(sizes.values()) <= -(-40 // len(combinations)) + 1


def test_names_state_the_size_of_the_problem(written):
    for row in rows(written, "grippers"):
        path = written / row["meta"]["problem_file"]
        robots, rooms, balls = map(int, re.findall(r"-[nro](\d+)", path.stem))
        objects = path.read_text().partition("(:init")[0]
        assert [len(re.findall(rf"\b{kind}\d", objects)) for kind in ("robot", "room", "ball")] == [
            robots,
            rooms,
            balls,
        ]


def test_the_same_seed_gives_the_same_files_and_another_gives_others(written, tmp_path):
    write_planning_problems(tmp_path / "again", count=40, seed=3)
    assert files(tmp_path / "again") == files(written)
    write_planning_problems(tmp_path / "other", count=40, seed=4)
    assert not set(files(tmp_path / "other")) & {name for name in files(written) if name.endswith(".soln")}


def test_more_problems_begin_with_the_same_ones(written, tmp_path):
    write_planning_problems(tmp_path, ["ferry"], count=50, seed=3)
    assert rows(tmp_path, "ferry")[:40] == rows(written, "ferry")


def shortest(task: Task) -> int:
    """Length of the shortest plan, by trying all."""
    steps = [
        (name, *values) for name, action in task.actions.items() for values in product(*map(sorted, action.parameters))
    ]
    depths = {task.initial: 0}
    left = deque([task.initial])
    while left:
        state = left.popleft()
        if all(goal.holds(state, ()) for goal in task.goals):
            return depths[state]
        for name, *values in steps:
            action = task.actions[name]
            if action.precondition.holds(state, tuple(values)):
                reached = action.effects.apply(state, tuple(values))
                if reached not in depths:
                    depths[reached] = depths[state] + 1
                    left.append(reached)
    raise AssertionError("no plan")


@pytest.mark.parametrize(
    ("scenario", "ranges", "exact"),
    [
        ("ferry", {"l": (3, 3), "c": (2, 3)}, True),
        ("spanner", {"s": (2, 2), "n": (1, 2), "l": (2, 3)}, True),
        ("delivery", {"s": (2, 3), "p": (1, 2)}, True),
        ("blocksworld", {"n": (3, 4)}, False),
        ("grippers", {"n": (1, 1), "r": (2, 3), "o": (2, 2)}, False),
    ],
)
def test_reference_plans_are_the_shortest_where_promised_and_close_elsewhere(tmp_path, scenario, ranges, exact):
    write_planning_problems(tmp_path, [scenario], count=6, seed=1, ranges={scenario: ranges})
    lengths = []
    for row in rows(tmp_path, scenario):
        task = load_task(tmp_path / row["meta"]["domain_file"], tmp_path / row["meta"]["problem_file"])
        lengths.append((len(read_plan_file(tmp_path / row["meta"]["plan_file"])), shortest(task)))
    assert all(given >= best for given, best in lengths)
    if exact:
        assert all(given == best for given, best in lengths), lengths
    else:
        assert sum(given for given, _ in lengths) <= 1.5 * sum(best for _, best in lengths), lengths


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"scenarios": ["hanoi"]}, "no planning scenario 'hanoi'; known: blocksworld"),
        ({"count": 0}, "count=0 must be at least 1"),
        ({"ranges": {"ferry": {"q": (1, 2)}}}, "ferry has no parameter 'q'; known: l, c"),
        ({"ranges": {"ferry": {"l": (4, 3)}}}, r"ferry.l=4..3 must rise"),
        ({"ranges": {"ferry": {"l": (1, 1)}}}, "no combination in these ranges"),
        ({"ranges": {"ferry": {"l": (2, 2), "c": (1, 1)}}}, "ferry: only 4 different problems"),
        ({"ranges": {"hanoi": {"l": (2, 2)}}}, "no planning scenario 'hanoi'"),
    ],
)
def test_what_cannot_be_generated_is_refused(tmp_path, named, message):
    with pytest.raises(ConfigError, match=message):
        write_planning_problems(tmp_path, **{"scenarios": ["ferry"], "count": 5, **named})


def test_a_folder_with_problems_of_other_scenarios_is_refused(tmp_path):
    write_planning_problems(tmp_path, ["ferry"], count=2)
    write_planning_problems(tmp_path, ["ferry", "spanner"], count=2)
    with pytest.raises(ConfigError, match=r"holds ferry\.jsonl of other problems"):
        write_planning_problems(tmp_path, ["spanner"], count=2)
