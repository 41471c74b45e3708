# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Judges the plan of a completion against its problem's PDDL files.

The ground truth is {"domain_file", "problem_file", "plan_file" or null}; further keys such as "scenario" are not read.
The reference plan is `plan_file`, else the file beside the problem whose ending is `.soln`; only its length counts.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grpo_jax.pddl.execution import Execution, execute
from grpo_jax.pddl.plan_text import PlanError, read_plan_file
from grpo_jax.pddl.task import Task, load_task
from grpo_jax.records import ConfigError, Problem
from grpo_jax.rewards.planning.extraction import find_plan

_KEPT_TASKS = 1024


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a completion's plan.

    Attributes:
        verdict: `empty`: no step was found. `unreadable`: a line of the plan is not made of steps, a step is no action
            of the domain on objects of the problem, or the plan is too long. `executed`: see `execution`.
        execution: Where the plan was carried out.
        reference_steps: Length of the reference plan; without one, of the plan itself. 0 where nothing was executed.
    """

    verdict: Literal["empty", "unreadable", "executed"]
    execution: Execution | None = None
    reference_steps: int = 0


def judge(problem: Problem, completion: str, max_steps: int) -> Judgement:
    """Take the plan from a completion and carry it out.

    Files are read once a process; the latest 1,024 problems are kept.

    Args:
        problem: Its ground truth names the PDDL files.
        completion: Decoded text of the assistant's turn.
        max_steps: Longer plans are unreadable.

    Raises:
        ConfigError: The ground truth or one of its files cannot be used.
    """
    task, reference_steps = _load(*_files(problem))
    try:
        plan = find_plan(completion, max_steps)
        if not plan:
            return Judgement("empty")
        execution = execute(task, plan)
    except PlanError:
        return Judgement("unreadable")
    return Judgement("executed", execution, reference_steps or len(plan))


def _files(problem: Problem) -> tuple[str, str, str | None]:
    truth = problem.ground_truth
    if not isinstance(truth, Mapping):
        raise ConfigError(f"problem {problem.id}: the ground truth of planning must be an object with problem_file")
    for name in ("domain_file", "problem_file"):
        if not isinstance(truth.get(name), str):
            raise ConfigError(f"problem {problem.id}: ground truth lacks {name}, the path of a PDDL file")
    plan_file = truth.get("plan_file")
    if plan_file is not None and not isinstance(plan_file, str):
        raise ConfigError(f"problem {problem.id}: ground truth plan_file is {plan_file!r}, wanted a path or null")
    return truth["domain_file"], truth["problem_file"], plan_file


@functools.lru_cache(maxsize=_KEPT_TASKS)
def _load(domain_file: str, problem_file: str, plan_file: str | None) -> tuple[Task, int]:
    beside = Path(problem_file).with_suffix(".soln")
    if plan_file is None and beside.is_file():
        plan_file = str(beside)
    return load_task(domain_file, problem_file), len(read_plan_file(plan_file)) if plan_file else 0
