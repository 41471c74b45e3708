# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a plan does to a task: carried out step by step, up to its end or the first violation."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from grpo_jax.pddl.conditions import State, Values
from grpo_jax.pddl.constraints import Watch
from grpo_jax.pddl.plan_text import PlanError, Step, show_step
from grpo_jax.pddl.task import Action, Task


class Outcome(StrEnum):
    """How the execution of a plan ended."""

    VALID = "valid"
    GOALS_MISSING = "goals_missing"
    PRECONDITION_VIOLATED = "precondition_violated"
    CONSTRAINT_VIOLATED = "constraint_violated"


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of a plan.

    Attributes:
        outcome: The first violation in the order of the plan, else whether all goals hold at its end. A constraint that
            only the end of the plan can break ("sometime") is looked at before the goals.
        step: Number from 1 of the step that violated, 0 where the initial state does; the plan's length where the end
            does, or nothing.
        distance: Length of the shortest way from the initial state to the last state among the transitions taken; what
            a plan walks in circles does not count.
        goals_at_start: Goals that hold in the initial state.
        goals_at_end: Goals that hold in the last state that was reached.
        goals: All goals.
        reason: What was violated or is missing; empty for valid plans.
    """

    outcome: Outcome
    step: int
    distance: int
    goals_at_start: int
    goals_at_end: int
    goals: int
    reason: str


def bind(task: Task, plan: Sequence[Step]) -> list[tuple[Action, Values]]:
    """Find the action of every step and check its objects.

    Raises:
        PlanError: A step names no action or object of the task, or has objects of the wrong number or type.
    """
    bound = []
    for number, step in enumerate(plan, start=1):
        action = task.actions.get(step[0])
        if action is None:
            raise PlanError(f"step {number}: no action {step[0][:40]!r}")
        values = step[1:]
        if len(values) != len(action.parameters):
            raise PlanError(f"step {number}: {step[0]} takes {len(action.parameters)} objects, got {len(values)}")
        for value, accepted in zip(values, action.parameters, strict=True):
            if value not in accepted:
                kind = "an object of the wrong type" if value in task.objects else "no object"
                raise PlanError(f"step {number}: {value[:40]!r} is {kind}")
        bound.append((action, values))
    return bound


def execute(task: Task, plan: Sequence[Step]) -> Execution:
    """Carry out a plan up to its end or the first violation.

    Raises:
        PlanError: As in `bind`; nothing is carried out then.
    """
    state = task.initial
    distances: dict[State, int] = {state: 0}
    watches = [Watch(constraint) for constraint in task.constraints]

    def ended(outcome: Outcome, step: int, reason: str) -> Execution:
        return Execution(
            outcome, step, distances[state], _satisfied(task, task.initial), _satisfied(task, state),
            len(task.goals), reason,
        )  # fmt: skip

    bound = bind(task, plan)
    if broken := _broken(watches, state):
        return ended(Outcome.CONSTRAINT_VIOLATED, 0, f"the initial state breaks {broken}")
    for number, (action, values) in enumerate(bound, start=1):
        if not action.precondition.holds(state, values):
            reason = f"step {number}: precondition of {show_step(plan[number - 1])}"
            return ended(Outcome.PRECONDITION_VIOLATED, number, reason)
        reached = action.effects.apply(state, values)
        distances[reached] = min(distances.get(reached, number), distances[state] + 1)
        state = reached
        if broken := _broken(watches, state):
            return ended(Outcome.CONSTRAINT_VIOLATED, number, f"step {number}: {broken}")
    unmet = next((watch.constraint.text for watch in watches if watch.unmet), None)
    if unmet:
        return ended(Outcome.CONSTRAINT_VIOLATED, len(plan), f"at the end: {unmet}")
    missing = [text for goal, text in zip(task.goals, task.goal_texts, strict=True) if not goal.holds(state, ())]
    if missing:
        return ended(Outcome.GOALS_MISSING, len(plan), f"goals missing: {', '.join(missing[:3])}")
    return ended(Outcome.VALID, len(plan), "")


def _broken(watches: Sequence[Watch], state: State) -> str:
    """The first constraint that a state breaks; all of them look at it."""
    return next((watch.constraint.text for watch in [w for w in watches if w.breaks(state)]), "")


def _satisfied(task: Task, state: State) -> int:
    return sum(goal.holds(state, ()) for goal in task.goals)
