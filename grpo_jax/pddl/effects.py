# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Effects of actions: atoms added and deleted, possibly under a condition or for all objects of a type.

`(increase (total-cost) ...)` is read over: the length of a plan and its validity do not depend on costs. Any other
change of a number is refused.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from grpo_jax.pddl.conditions import Atom, Condition, Fact, Scope, State, Values, read_condition
from grpo_jax.pddl.s_expressions import Expression, show
from grpo_jax.records import ConfigError

_NUMERIC = ("increase", "decrease", "assign", "scale-up", "scale-down")


@dataclass(frozen=True, slots=True)
class Conditional:
    """Effects that take place where `condition` holds, for every combination of objects in `ranges`."""

    ranges: tuple[tuple[str, ...], ...]
    condition: Condition | None
    effects: "Effects"


@dataclass(frozen=True, slots=True)
class Effects:
    """What an action changes. An atom that is both deleted and added is true afterwards, as PDDL has it."""

    adds: tuple[Fact, ...]
    deletes: tuple[Fact, ...]
    conditionals: tuple[Conditional, ...] = ()

    def apply(self, state: State, values: Values) -> State:
        """The state after the action; every condition is judged in the state before it."""
        adds = [fact.atom(values) for fact in self.adds]
        deletes = [fact.atom(values) for fact in self.deletes]
        for conditional in self.conditionals:
            _collect(conditional, state, values, adds, deletes)
        return state.difference(deletes).union(adds)


def _collect(conditional: Conditional, state: State, values: Values, adds: list[Atom], deletes: list[Atom]) -> None:
    for own in itertools.product(*conditional.ranges):
        bound = values + own
        if conditional.condition is None or conditional.condition.holds(state, bound):
            adds += [fact.atom(bound) for fact in conditional.effects.adds]
            deletes += [fact.atom(bound) for fact in conditional.effects.deletes]
            for inner in conditional.effects.conditionals:
                _collect(inner, state, bound, adds, deletes)


def read_effects(expression: Expression, scope: Scope) -> Effects:
    """Read an effect: atoms, not, and, when, forall.

    Raises:
        ConfigError: It is malformed, names something undeclared, or changes a number other than total-cost.
    """
    adds: list[Fact] = []
    deletes: list[Fact] = []
    conditionals: list[Conditional] = []
    _read(expression, scope, adds, deletes, conditionals)
    return Effects(tuple(adds), tuple(deletes), tuple(conditionals))


def _read(
    expression: Expression, scope: Scope, adds: list[Fact], deletes: list[Fact], conditionals: list[Conditional]
) -> None:
    if isinstance(expression, str):
        raise ConfigError(f"{scope.where}: wanted an effect, found {expression!r}")
    if not expression:
        return
    head, *rest = expression
    if head == "and":
        for part in rest:
            _read(part, scope, adds, deletes, conditionals)
    elif head == "not":
        (inner,) = _parts(1, expression, rest, scope)
        if isinstance(inner, str) or not inner:
            raise ConfigError(f"{scope.where}: {show(expression)} is not an effect")
        deletes.append(scope.fact(inner))
    elif head == "when":
        condition, inner = _parts(2, expression, rest, scope)
        conditionals.append(Conditional((), read_condition(condition, scope), read_effects(inner, scope)))
    elif head == "forall":
        variables, inner = _parts(2, expression, rest, scope)
        inside, ranges = scope.with_variables(variables)
        conditionals.append(Conditional(ranges, None, read_effects(inner, inside)))
    elif head in _NUMERIC:
        if head != "increase" or not rest or rest[0] != ("total-cost",):
            raise ConfigError(f"{scope.where}: numeric effect {show(expression)} is not supported, only total-cost is")
    else:
        adds.append(scope.fact(expression))


def _parts(count: int, expression: Expression, parts: Sequence[Expression], scope: Scope) -> Sequence[Expression]:
    if len(parts) != count:
        raise ConfigError(f"{scope.where}: {show(expression)} has {len(parts)} parts, wanted {count}")
    return parts
