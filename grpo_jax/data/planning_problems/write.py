# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Writes generated planning problems as a folder that is itself a source of problems.

    FOLDER/ferry.jsonl                       rows {"prompt": ..., "meta": {"problem_file", "domain_file", ...}}
    FOLDER/ferry/domain.pddl
    FOLDER/ferry/ferry-l4-c2-s1302.pddl      difficulty parameters and seed in the name
    FOLDER/ferry/ferry-l4-c2-s1302.soln      a plan, checked by carrying it out

Paths in the rows are relative to the folder. A prompt holds the rules in words and the PDDL of domain and problem; in
what form the plan is wanted is the domain's template's to say.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grpo_jax.data.files import write_rows
from grpo_jax.data.permutation import permutation
from grpo_jax.data.planning_problems.blocksworld import BLOCKSWORLD
from grpo_jax.data.planning_problems.delivery import DELIVERY
from grpo_jax.data.planning_problems.ferry import FERRY
from grpo_jax.data.planning_problems.grippers import GRIPPERS
from grpo_jax.data.planning_problems.scenario import Scenario, plan_text, problem_text
from grpo_jax.data.planning_problems.spanner import SPANNER
from grpo_jax.pddl.execution import Outcome, execute
from grpo_jax.pddl.plan_text import read_plan_file
from grpo_jax.pddl.task import load_task
from grpo_jax.records import ConfigError

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for scenario in (BLOCKSWORLD, FERRY, GRIPPERS, SPANNER, DELIVERY)
}

Ranges = Mapping[str, tuple[int, int]]
"""Difficulty parameter -> smallest and largest value."""

_MAX_LARGEST = 50
_REPEATS = 20
"""A combination of parameters that gives a known problem so often in a row counts as used up."""


def planning_prompt(description: str, domain_pddl: str, problem_pddl: str) -> str:
    """The prompt of a planning problem; an empty description leaves the rules to the PDDL."""
    parts = [description, f"The domain in PDDL:\n\n{domain_pddl.strip()}", f"The problem:\n\n{problem_pddl.strip()}"]
    return "\n\n".join(part for part in parts if part)


def write_planning_problems(
    folder: str | Path,
    scenarios: Sequence[str] = tuple(SCENARIOS),
    count: int = 150,
    seed: int = 0,
    ranges: Mapping[str, Ranges] | None = None,
) -> None:
    """Generate problems and write them; the same arguments give the same files.

    Args:
        folder: Folder to write, made where absent.
        scenarios: Names in `SCENARIOS`.
        count: Different problems of each scenario, spread evenly over the combinations of its parameters.
        seed: Names the problems that are drawn.
        ranges: Scenario -> ranges that replace the default ones, parameter by parameter.

    Raises:
        ConfigError: A name or a number cannot be used, the folder holds problems of other scenarios, or there are fewer
            than `count` different problems.
    """
    folder = Path(folder)
    ranges = ranges or {}
    for name in (*scenarios, *ranges):
        if name not in SCENARIOS:
            raise ConfigError(f"no planning scenario {name!r}; known: {', '.join(SCENARIOS)}")
    if count < 1:
        raise ConfigError(f"count={count} must be at least 1")
    stale = sorted({file.name for file in folder.glob("*.jsonl")} - {f"{name}.jsonl" for name in scenarios})
    if stale:
        raise ConfigError(f"{folder}: holds {stale[0]} of other problems; name an empty folder")
    for name in dict.fromkeys(scenarios):
        scenario = SCENARIOS[name]
        combinations = _combinations(scenario, ranges.get(name, {}))
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "domain.pddl").write_text(scenario.domain, encoding="utf-8")
        problems = _different_problems(scenario, combinations, seed)
        rows = [_write_problem(folder, scenario, *problem) for problem in itertools.islice(problems, count)]
        if len(rows) < count:
            raise ConfigError(
                f"{name}: only {len(rows)} different problems of these sizes were found, wanted count={count}; "
                "widen its ranges or lower the count"
            )
        write_rows(folder / f"{name}.jsonl", rows)


def _combinations(scenario: Scenario, ranges: Ranges) -> list[dict[str, int]]:
    for name, (low, high) in ranges.items():
        if name not in scenario.ranges:
            raise ConfigError(f"{scenario.name} has no parameter {name!r}; known: {', '.join(scenario.ranges)}")
        if not 0 < low <= high <= _MAX_LARGEST:
            raise ConfigError(f"{scenario.name}.{name}={low}..{high} must rise and lie in 1..{_MAX_LARGEST}")
    spans = [range(low, high + 1) for low, high in {**scenario.ranges, **ranges}.values()]
    combined = [dict(zip(scenario.ranges, values, strict=True)) for values in itertools.product(*spans)]
    usable = [parameters for parameters in combined if scenario.allowed(parameters)]
    if not usable:
        raise ConfigError(f"{scenario.name}: no combination in these ranges makes a problem; widen them")
    return usable


def _different_problems(
    scenario: Scenario, combinations: Sequence[Mapping[str, int]], seed: int
) -> Iterator[tuple[str, str, str]]:
    """File stem, PDDL and plan of problems without end, or until all combinations are used up."""
    known: set[str] = set()
    left = list(combinations)
    for turn in itertools.count():
        order = permutation(len(left), "planning problems", seed, scenario.name, turn)
        used_up = []
        for position in order.tolist():
            parameters = left[position]
            for attempt in range(_REPEATS):
                words = (scenario.name, sorted(parameters.items()), seed, turn, attempt)
                own_seed = random.Random(repr(words)).randrange(2**31)
                instance = scenario.make(parameters, random.Random(own_seed))
                text = problem_text(scenario, parameters, instance)
                if text not in known:
                    known.add(text)
                    stem = scenario.file_stem.format(**parameters, seed=own_seed)
                    yield stem, text, plan_text(instance.plan)
                    break
            else:
                used_up.append(position)
        left = [parameters for position, parameters in enumerate(left) if position not in used_up]
        if not left:
            return


def _write_problem(folder: Path, scenario: Scenario, stem: str, problem: str, plan: str) -> dict[str, Any]:
    """Write the files of one problem, check its plan, and return its row."""
    names = {
        "problem_file": f"{scenario.name}/{stem}.pddl",
        "domain_file": f"{scenario.name}/domain.pddl",
        "plan_file": f"{scenario.name}/{stem}.soln",
    }
    (folder / names["problem_file"]).write_text(problem, encoding="utf-8")
    (folder / names["plan_file"]).write_text(plan, encoding="utf-8")
    task = load_task(folder / names["domain_file"], folder / names["problem_file"])
    execution = execute(task, read_plan_file(folder / names["plan_file"]))
    if execution.outcome is not Outcome.VALID:
        raise AssertionError(f"the generator of {scenario.name} made a wrong plan for {stem}: {execution.reason}")
    prompt = planning_prompt(scenario.description, scenario.domain, problem)
    return {"prompt": prompt, "meta": {**names, "scenario": scenario.name}}
