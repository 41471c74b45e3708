# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How many plans the `planning` reward judges in a second, beside unified-planning's validator.

    python -m benchmarks.planning_validation [--problems 150] [--oracle-problems 5] [--seconds 3]

One process, one core. Problems of all five scenarios are generated; the completions of each are its reference plan
behind some reasoning, one cut short and one with a step that fails. `judged` includes finding the plan in the
completion; `first` includes reading the files, as the first completion of a problem has it. unified-planning is given
parsed plans. The median of five rounds is printed, as JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from grpo_jax.data.planning_problems.write import write_planning_problems
from grpo_jax.pddl.execution import Outcome, execute
from grpo_jax.pddl.plan_text import Step, read_plan_file
from grpo_jax.pddl.task import load_task
from grpo_jax.records import Problem
from grpo_jax.rewards.planning.plan_rewards import planning_reward

ROUNDS = 5
REASONING = "<think>" + "First it has to be seen what stands in the way of what. " * 40 + "</think>\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=150, help="of each scenario")
    parser.add_argument("--oracle-problems", type=int, default=5, help="of each scenario, given to unified-planning")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a round")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        write_planning_problems(folder, count=arguments.problems)
        figures = measure_rewards(Path(folder), arguments.seconds)
        if arguments.oracle_problems:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # its use of pyparsing
                figures |= measure_oracle(Path(folder), arguments.oracle_problems, arguments.seconds)
            figures["ratio"] = figures["executed_per_second"] / figures["unified_planning_per_second"]
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}, indent=2))


def problem_files(folder: Path) -> list[tuple[Path, Path]]:
    """The domain and problem files of a generated folder."""
    return [
        (domain, problem)
        for domain in sorted(folder.glob("*/domain.pddl"))
        for problem in sorted(domain.parent.glob("*.pddl"))
        if problem != domain
    ]


def completions(plan: Sequence[Step]) -> list[str]:
    """A right, a cut and a failing answer."""
    lines = [f"({' '.join(step)})" for step in plan]
    answers = (lines, lines[: len(lines) // 2 + 1], [*lines[1:], lines[0]])
    return [f"{REASONING}```\n" + "\n".join(answer) + "\n```" for answer in answers]


def rate(work: Sequence[Callable[[], object]], seconds: float) -> float:
    """Calls a second, the median of `ROUNDS` rounds through all of the work, each at least `seconds / ROUNDS` long."""
    rates = []
    for _ in range(ROUNDS):
        calls, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / ROUNDS or not calls:
            for call in work:
                call()
            calls += len(work)
        rates.append(calls / (time.perf_counter() - start))
    return statistics.median(rates)


def measure_rewards(folder: Path, seconds: float) -> dict[str, float]:
    """The reward on completions, first and later ones, and the execution of plans alone."""
    items, plans = [], []
    for domain, path in problem_files(folder):
        problem = Problem(path.stem, domain.parent.name, (), {"domain_file": str(domain), "problem_file": str(path)})
        plan = read_plan_file(path.with_suffix(".soln"))
        items += [(problem, completion) for completion in completions(plan)]
        plans.append((load_task(domain, path), plan))
    start = time.perf_counter()
    first = [planning_reward(*item) for item in items[::3]]
    first_seconds = time.perf_counter() - start
    assert all(part.value == 1.0 for part in first)
    return {
        "problems": len(plans),
        "steps_per_plan": statistics.mean(len(plan) for _, plan in plans),
        "first_per_second": len(first) / first_seconds,
        "judged_per_second": rate([lambda item=item: planning_reward(*item) for item in items], seconds),
        "executed_per_second": rate([lambda plan=plan: execute(*plan) for plan in plans], seconds),
    }


def measure_oracle(folder: Path, count: int, seconds: float) -> dict[str, float]:
    """unified-planning on the first problems of each scenario: parsing, and validating the reference plans."""
    from unified_planning.engines.plan_validator import SequentialPlanValidator
    from unified_planning.engines.results import ValidationResultStatus
    from unified_planning.io import PDDLReader

    by_domain: dict[Path, list[Path]] = {}
    for domain, path in problem_files(folder):
        by_domain.setdefault(domain, []).append(path)
    validator = SequentialPlanValidator()
    work, parse_seconds = [], 0.0
    for domain, paths in by_domain.items():
        for path in paths[:count]:
            start = time.perf_counter()
            problem = PDDLReader().parse_problem(str(domain), str(path))
            parse_seconds += time.perf_counter() - start
            plan = PDDLReader().parse_plan(problem, str(path.with_suffix(".soln")))
            assert validator.validate(problem, plan).status is ValidationResultStatus.VALID
            assert execute(load_task(domain, path), read_plan_file(path.with_suffix(".soln"))).outcome is Outcome.VALID
            work.append(lambda problem=problem, plan=plan: validator.validate(problem, plan))
    return {
        "unified_planning_parse_milliseconds": 1000 * parse_seconds / len(work),
        "unified_planning_per_second": rate(work, seconds),
    }


if __name__ == "__main__":
    main()
