# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Conditions over states: read once from PDDL, then evaluated for the objects bound to their variables.

Kept light on purpose: a state is a frozen set of atoms, a variable is a position in the tuple of bound objects, and a
constant is its name.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from grpo_jax.pddl.objects import Objects, read_typed_list
from grpo_jax.pddl.s_expressions import Expression, show
from grpo_jax.records import ConfigError

Atom = tuple[str, ...]
"""A predicate with its objects: ("on", "b1", "b2")."""
State = frozenset[Atom]
"""The atoms that are true; all others are false."""
Values = tuple[str, ...]
"""The objects bound to variables, by position."""
Term = int | str
"""Position of a variable in `Values`, or an object's name."""

_COMPARISONS = ("<", ">", "<=", ">=", "+", "-", "*", "/")


class Condition(Protocol):
    """Something that holds in a state or does not."""

    def holds(self, state: State, values: Values) -> bool:
        """Whether it holds in `state` with `values` for its variables."""
        ...


@dataclass(frozen=True, slots=True)
class Fact:
    """An atom with variables."""

    predicate: str
    terms: tuple[Term, ...]

    def atom(self, values: Values) -> Atom:
        """The atom for the given objects."""
        return (self.predicate, *[values[term] if isinstance(term, int) else term for term in self.terms])

    def holds(self, state: State, values: Values) -> bool:
        """As in `Condition`."""
        return self.atom(values) in state


@dataclass(frozen=True, slots=True)
class Same:
    """`(= x y)`."""

    left: Term
    right: Term

    def holds(self, state: State, values: Values) -> bool:
        """As in `Condition`."""
        left = values[self.left] if isinstance(self.left, int) else self.left
        return left == (values[self.right] if isinstance(self.right, int) else self.right)


@dataclass(frozen=True, slots=True)
class Negation:
    """`(not c)`."""

    inner: Condition

    def holds(self, state: State, values: Values) -> bool:
        """As in `Condition`."""
        return not self.inner.holds(state, values)


@dataclass(frozen=True, slots=True)
class Conjunction:
    """`(and c ...)`; without parts it is always true."""

    parts: tuple[Condition, ...]

    def holds(self, state: State, values: Values) -> bool:
        """As in `Condition`."""
        return all(part.holds(state, values) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Disjunction:
    """`(or c ...)`; without parts it is never true."""

    parts: tuple[Condition, ...]

    def holds(self, state: State, values: Values) -> bool:
        """As in `Condition`."""
        return any(part.holds(state, values) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Quantified:
    """`(forall (...) c)` or `(exists (...) c)`; the ranges are the objects of each variable's type."""

    ranges: tuple[tuple[str, ...], ...]
    inner: Condition
    for_all: bool

    def holds(self, state: State, values: Values) -> bool:
        """As in `Condition`."""
        found = (self.inner.holds(state, values + own) for own in itertools.product(*self.ranges))
        return all(found) if self.for_all else any(found)


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean where a condition or an effect stands.

    Attributes:
        where: File and part of it, for messages.
        predicates: Name -> number of arguments.
        objects: Objects and constants.
        variables: Name -> position in the values.
        bound: Number of values so far; more than the names where an inner variable hides an outer one.
    """

    where: str
    predicates: Mapping[str, int]
    objects: Objects
    variables: Mapping[str, int] = field(default_factory=dict)
    bound: int = 0

    def with_variables(self, typed_list: Expression) -> tuple["Scope", tuple[tuple[str, ...], ...]]:
        """The scope inside a quantifier, and the objects that each of its variables runs over."""
        if isinstance(typed_list, str):
            raise ConfigError(f"{self.where}: wanted a list of variables, found {typed_list}")
        declared = read_typed_list(typed_list, self.where)
        own = {name: position for position, (name, _) in enumerate(declared, start=self.bound)}
        ranges = tuple(self.objects.listed(types, self.where) for _, types in declared)
        return replace(self, variables={**self.variables, **own}, bound=self.bound + len(declared)), ranges

    def term(self, word: Expression) -> Term:
        """A variable's position or an object's name."""
        if not isinstance(word, str):
            raise ConfigError(f"{self.where}: {show(word)} is a numeric or object fluent, which is not supported")
        if word in self.variables:
            return self.variables[word]
        if word not in self.objects:
            kind = "variable" if word.startswith("?") else "object"
            raise ConfigError(f"{self.where}: {kind} {word!r} is not declared")
        return word

    def fact(self, expression: tuple[Expression, ...]) -> Fact:
        """An atom of a declared predicate with the right number of arguments."""
        name, *arguments = expression
        if not isinstance(name, str) or name not in self.predicates:
            raise ConfigError(f"{self.where}: predicate {show(name)!r} is not declared")
        if len(arguments) != self.predicates[name]:
            raise ConfigError(
                f"{self.where}: {show(expression)} has {len(arguments)} arguments, {name} takes {self.predicates[name]}"
            )
        return Fact(name, tuple(self.term(argument) for argument in arguments))


def read_condition(expression: Expression, scope: Scope) -> Condition:
    """Read a condition: atoms, =, not, and, or, imply, forall, exists, nested as one likes.

    Raises:
        ConfigError: It is malformed, names something undeclared, or uses numbers or preferences.
    """
    if isinstance(expression, str):
        raise ConfigError(f"{scope.where}: wanted a condition, found {expression!r}")
    if not expression:
        return Conjunction(())
    head, *rest = expression
    if head in ("and", "or"):
        parts = tuple(read_condition(part, scope) for part in rest)
        return Conjunction(parts) if head == "and" else Disjunction(parts)
    if head in ("forall", "exists"):
        variables, inner = _exactly(2, expression, scope)
        inside, ranges = scope.with_variables(variables)
        return Quantified(ranges, read_condition(inner, inside), head == "forall")
    if head == "not":
        return Negation(read_condition(_exactly(1, expression, scope)[0], scope))
    if head == "imply":
        first, second = (read_condition(part, scope) for part in _exactly(2, expression, scope))
        return Disjunction((Negation(first), second))
    if head == "=":
        left, right = _exactly(2, expression, scope)
        return Same(scope.term(left), scope.term(right))
    if head in _COMPARISONS:
        raise ConfigError(f"{scope.where}: numeric condition {show(expression)} is not supported")
    if head == "preference":
        raise ConfigError(f"{scope.where}: preferences are not supported")
    return scope.fact(expression)


def conjuncts(expression: Expression) -> list[Expression]:
    """The parts of nested `and`s, in order."""
    if isinstance(expression, tuple) and (not expression or expression[0] == "and"):
        return [part for inner in expression[1:] for part in conjuncts(inner)]
    return [expression]


def _exactly(count: int, expression: tuple[Expression, ...], scope: Scope) -> tuple[Expression, ...]:
    if len(expression) != count + 1:
        raise ConfigError(f"{scope.where}: {show(expression)} wants {count} parts after {show(expression[0])}")
    return expression[1:]
