# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The state-trajectory constraints of PDDL3 that need no clock, watched state by state.

With s0 the initial state and s1, s2, ... the states after each step, `a` and `b` conditions (Gerevini and Long, "Plan
Constraints and Preferences in PDDL3", 2005):

- (always a): a holds in every state.
- (sometime a): a holds in some state.
- (at-most-once a): the states in which a holds follow each other without a gap.
- (sometime-before a b): wherever a holds, b held in an earlier state.
- (sometime-after a b): wherever a holds, b holds there or in a later state.
- (at end a): a holds in the last state.
"""

import itertools
from dataclasses import dataclass

from grpo_jax.pddl.conditions import Condition, Scope, State, Values, read_condition
from grpo_jax.pddl.s_expressions import Expression, show
from grpo_jax.records import ConfigError

_CONDITIONS = {
    "always": 1,
    "sometime": 1,
    "at-most-once": 1,
    "at-end": 1,
    "sometime-before": 2,
    "sometime-after": 2,
}
_CLOCKED = ("within", "always-within", "hold-during", "hold-after")
_MAX_INSTANCES = 100_000


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint with objects bound to the variables of the quantifiers around it."""

    kind: str
    conditions: tuple[Condition, ...]
    values: Values
    text: str


class Watch:
    """One constraint over one run of a plan."""

    def __init__(self, constraint: Constraint) -> None:
        self.constraint = constraint
        self._held = False  # at-most-once: in the state before; sometime-before: b in any state before
        self._ended = False  # at-most-once: a first stretch is over
        self.unmet = constraint.kind == "sometime"
        """Whether the constraint is broken if the plan ends here."""

    def breaks(self, state: State) -> bool:
        """Look at the next state; whether the constraint is broken by it, whatever follows."""
        constraint = self.constraint
        first = constraint.conditions[0].holds(state, constraint.values)
        match constraint.kind:
            case "always":
                return not first
            case "sometime":
                self.unmet = self.unmet and not first
            case "at-end":
                self.unmet = not first
            case "at-most-once":
                if first and self._ended:
                    return True
                self._ended = self._ended or (self._held and not first)
                self._held = first
            case "sometime-before":
                if first and not self._held:
                    return True
                self._held = self._held or constraint.conditions[1].holds(state, constraint.values)
            case "sometime-after":
                self.unmet = (self.unmet or first) and not constraint.conditions[1].holds(state, constraint.values)
        return False


def read_constraints(expression: Expression, scope: Scope) -> list[Constraint]:
    """Read the body of `(:constraints ...)`: constraints in any nesting of `and` and `forall`.

    Raises:
        ConfigError: It is malformed, names something undeclared, needs a clock, or is a preference.
    """
    found: list[Constraint] = []
    _read(expression, scope, [()], found)
    return found


def _read(expression: Expression, scope: Scope, bound: list[Values], found: list[Constraint]) -> None:
    if isinstance(expression, str):
        raise ConfigError(f"{scope.where}: wanted a constraint, found {expression!r}")
    if not expression:
        return
    head, *parts = expression
    if head == "at" and parts[:1] == ["end"]:
        head, parts = "at-end", parts[1:]
    if head == "and":
        for part in parts:
            _read(part, scope, bound, found)
    elif head == "forall":
        if len(parts) != 2:
            raise ConfigError(f"{scope.where}: {show(expression)} has {len(parts)} parts, wanted 2")
        inside, ranges = scope.with_variables(parts[0])
        instances = list(
            itertools.islice(
                (values + own for values in bound for own in itertools.product(*ranges)), _MAX_INSTANCES + 1
            )
        )
        if len(instances) > _MAX_INSTANCES:
            raise ConfigError(f"{scope.where}: {show(expression)} has more than {_MAX_INSTANCES} instances")
        _read(parts[1], inside, instances, found)
    elif head in _CLOCKED or head == "preference":
        raise ConfigError(f"{scope.where}: constraint {head!r} is not supported; usable: {', '.join(_CONDITIONS)}")
    elif isinstance(head, str) and head in _CONDITIONS:
        if len(parts) != _CONDITIONS[head]:
            raise ConfigError(f"{scope.where}: {show(expression)} wants {_CONDITIONS[head]} conditions")
        conditions = tuple(read_condition(part, scope) for part in parts)
        found += [Constraint(head, conditions, values, show(expression)) for values in bound]
    else:
        raise ConfigError(f"{scope.where}: {show(expression)} is no constraint; usable: {', '.join(_CONDITIONS)}")
