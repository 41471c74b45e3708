# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a scenario of generated planning problems consists of, and how an instance of it is written as PDDL."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from grpo_jax.pddl.conditions import Atom
from grpo_jax.pddl.plan_text import Step, show_step


@dataclass(frozen=True, slots=True)
class Instance:
    """One generated problem.

    Attributes:
        objects: Names by type; the type is empty in untyped domains.
        initial: Facts that hold at the start.
        goals: Facts to reach; at least one does not hold at the start.
        plan: Steps that lead there.
    """

    objects: Mapping[str, Sequence[str]]
    initial: Sequence[Atom]
    goals: Sequence[Atom]
    plan: Sequence[Step]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of planning problem.

    Attributes:
        name: Its name, which names its files too.
        description: The rules in words.
        domain_name: Name inside the PDDL domain.
        domain: The PDDL domain.
        ranges: Difficulty parameter -> smallest and largest value by default.
        file_stem: Format of a problem's file name; `{seed}` beside the parameters.
        allowed: Whether a combination of parameters makes a problem.
        make: Draws one instance; a pure function of the parameters and the random stream.
    """

    name: str
    description: str
    domain_name: str
    domain: str
    ranges: Mapping[str, tuple[int, int]]
    file_stem: str
    allowed: Callable[[Mapping[str, int]], bool]
    make: Callable[[Mapping[str, int], random.Random], Instance]


def problem_text(scenario: Scenario, parameters: Mapping[str, int], instance: Instance) -> str:
    """The PDDL problem. Its name leaves the seed out, so that equal problems have equal texts."""
    size = "-".join(f"{name}{value}" for name, value in parameters.items())
    objects = [" ".join(names) + (f" - {kind}" if kind else "") for kind, names in instance.objects.items() if names]
    return "\n".join(
        [
            f"(define (problem {scenario.name}-{size})",
            f"  (:domain {scenario.domain_name})",
            "  (:objects",
            *(f"    {line}" for line in objects),
            "  )",
            "  (:init",
            *(f"    {show_step(fact)}" for fact in instance.initial),
            "  )",
            "  (:goal (and",
            *(f"    {show_step(fact)}" for fact in instance.goals),
            "  ))",
            ")",
            "",
        ]
    )


def plan_text(plan: Sequence[Step]) -> str:
    """A plan, one step a line."""
    return "".join(f"{show_step(step)}\n" for step in plan)
