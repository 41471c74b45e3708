# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A planning task: a PDDL domain and one of its problems, read and checked together.

Read: typing with `either`, constants, equality, negative, disjunctive and quantified conditions, conditional effects,
the clockless constraints of PDDL3. `:requirements` may be missing and is not believed: what counts is what is used.
Read over: action costs (`total-cost`, its functions and `:metric`), and the types of a problem's objects where its
domain declares none. Refused with the file and the feature: numbers otherwise, durative actions, timed initial facts,
derived predicates, preferences.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grpo_jax.pddl.conditions import Atom, Condition, Scope, State, conjuncts, read_condition
from grpo_jax.pddl.constraints import Constraint, read_constraints
from grpo_jax.pddl.effects import Effects, read_effects
from grpo_jax.pddl.objects import ROOT_TYPE, Objects, TypeNames, TypeTree, read_typed_list, read_types
from grpo_jax.pddl.s_expressions import Expression, read_file, show
from grpo_jax.records import ConfigError

Sections = Mapping[str, tuple[tuple[Expression, ...], ...]]
"""Keyword -> the contents of every section of that name, in order."""

_DOMAIN_SECTIONS = frozenset(":requirements :types :constants :predicates :functions :action :constraints".split())
_PROBLEM_SECTIONS = frozenset(":domain :requirements :objects :init :goal :constraints :metric :length".split())
_REFUSED_SECTIONS = {
    ":durative-action": "durative actions are",
    ":derived": "derived predicates are",
    ":axiom": "derived predicates are",
    ":process": "processes are",
    ":event": "events are",
}


@dataclass(frozen=True, slots=True)
class Action:
    """An action schema.

    Attributes:
        parameters: For each parameter the objects that it accepts.
        precondition: Over the values of the parameters.
        effects: The same.
    """

    parameters: tuple[frozenset[str], ...]
    precondition: Condition
    effects: Effects


@dataclass(frozen=True, slots=True)
class Task:
    """What a plan is judged by.

    Attributes:
        objects: All objects.
        actions: Name -> schema.
        initial: The state in which plans start.
        goals: The goal's conjuncts, nested `and`s taken apart; they have no variables.
        goal_texts: The same as text, for messages.
        constraints: Of domain and problem together.
    """

    objects: Objects
    actions: Mapping[str, Action]
    initial: State
    goals: tuple[Condition, ...]
    goal_texts: tuple[str, ...]
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class _Domain:
    where: str
    sections: Sections
    types: TypeTree
    constants: tuple[tuple[str, TypeNames], ...]
    predicates: Mapping[str, int]


def load_task(domain_file: str | Path, problem_file: str | Path) -> Task:
    """Read a problem with its domain. Domain files are kept, so a change to one during a run is not seen.

    Raises:
        ConfigError: A file cannot be read, is malformed, names something undeclared, or uses a feature that is not
            supported.
    """
    domain = _load_domain(str(domain_file))
    where = str(problem_file)
    sections = _sections(read_file(problem_file), "problem", _PROBLEM_SECTIONS, where)
    kinds = dict(domain.constants)
    for name, types in read_typed_list(_joined(sections, ":objects"), f"{where} (:objects)"):
        if ":types" not in domain.sections:  # published problems give their objects types that the domain knows not
            types = (ROOT_TYPE,)
        domain.types.check(types, f"{where} (:objects)")
        kinds[name] = types
    objects = Objects(domain.types, kinds)
    scope = Scope(domain.where, domain.predicates, objects)
    actions = dict(_read_action(section, scope) for section in domain.sections.get(":action", ()))
    goal = _single(sections, ":goal", where)
    goals = conjuncts(goal)
    goal_scope = Scope(f"{where} (:goal)", domain.predicates, objects)
    constraints = [
        constraint
        for place, found in ((domain.where, domain.sections), (where, sections))
        for body in _joined(found, ":constraints")
        for constraint in read_constraints(body, Scope(f"{place} (:constraints)", domain.predicates, objects))
    ]
    return Task(
        objects=objects,
        actions=actions,
        initial=_read_initial(_joined(sections, ":init"), Scope(f"{where} (:init)", domain.predicates, objects)),
        goals=tuple(read_condition(part, goal_scope) for part in goals),
        goal_texts=tuple(show(part) for part in goals),
        constraints=tuple(constraints),
    )


@functools.lru_cache(maxsize=64)
def _load_domain(path: str) -> _Domain:
    sections = _sections(read_file(path), "domain", _DOMAIN_SECTIONS, path)
    types = read_types(_joined(sections, ":types"), f"{path} (:types)")
    constants = read_typed_list(_joined(sections, ":constants"), f"{path} (:constants)")
    for _, kinds in constants:
        types.check(kinds, f"{path} (:constants)")
    predicates: dict[str, int] = {}
    for declaration in _joined(sections, ":predicates"):
        if isinstance(declaration, str) or not declaration or not isinstance(declaration[0], str):
            raise ConfigError(f"{path} (:predicates): {show(declaration)} is not a predicate")
        arguments = read_typed_list(declaration[1:], f"{path} (:predicates)")
        for _, kinds in arguments:
            types.check(kinds, f"{path} (:predicates)")
        predicates[declaration[0]] = len(arguments)
    return _Domain(path, sections, types, tuple(constants), predicates)


def _sections(expression: Expression, kind: str, known: frozenset[str], where: str) -> Sections:
    """Split `(define (domain NAME) (:section ...) ...)`."""
    match expression:
        case ("define", (found, str()), *sections) if found == kind:
            pass
        case _:
            raise ConfigError(f"{where}: not a PDDL {kind}, which starts with (define ({kind} NAME)")
    split: dict[str, tuple[tuple[Expression, ...], ...]] = {}
    for section in sections:
        name = section[0] if isinstance(section, tuple) and section else section
        if isinstance(section, str) or not isinstance(name, str):
            raise ConfigError(f"{where}: {show(section)} is not a section")
        if name in _REFUSED_SECTIONS:
            raise ConfigError(f"{where}: {_REFUSED_SECTIONS[name]} not supported ({show(section[:2])})")
        if name not in known:
            raise ConfigError(f"{where}: section {name!r} is not supported in a {kind}")
        split[name] = (*split.get(name, ()), section[1:])
    return split


def _joined(sections: Sections, name: str) -> Iterable[Expression]:
    return [part for section in sections.get(name, ()) for part in section]


def _single(sections: Sections, name: str, where: str) -> Expression:
    found = list(_joined(sections, name))
    if len(found) != 1:
        raise ConfigError(f"{where}: wanted one ({name} ...) with one condition, found {len(found)}")
    return found[0]


def _read_action(section: tuple[Expression, ...], scope: Scope) -> tuple[str, Action]:
    name, *pairs = section or ("",)
    if not isinstance(name, str) or len(pairs) % 2:
        raise ConfigError(f"{scope.where}: (:action {show(name)} ...) is not a name with pairs of keyword and value")
    where = f"{scope.where} (:action {name})"
    parts = {show(key): value for key, value in zip(pairs[::2], pairs[1::2], strict=True)}
    unknown = set(parts) - {":parameters", ":precondition", ":effect"}
    if unknown:
        raise ConfigError(f"{where}: {min(unknown)} is not supported")
    parameters = parts.get(":parameters", ())
    if isinstance(parameters, str):
        raise ConfigError(f"{where}: :parameters is not a list")
    declared = read_typed_list(parameters, where)
    variables = {variable: position for position, (variable, _) in enumerate(declared)}
    if len(variables) < len(declared):
        raise ConfigError(f"{where}: a parameter stands there twice")
    inside = Scope(where, scope.predicates, scope.objects, variables, len(declared))
    return name, Action(
        tuple(scope.objects.of(types, where) for _, types in declared),
        read_condition(parts.get(":precondition", ()), inside),
        read_effects(parts.get(":effect", ()), inside),
    )


def _read_initial(facts: Iterable[Expression], scope: Scope) -> State:
    atoms: set[Atom] = set()
    for fact in facts:
        match fact:
            case ("=", _, _):
                continue  # the start of a cost; a condition that would read it is refused where it stands
            case ("not", (_, *_) as inner):
                scope.fact(inner)  # false is what it would be anyway
            case ("at", str() as time, (_, *_)) if time.replace(".", "", 1).isdigit():
                raise ConfigError(f"{scope.where}: timed initial facts are not supported ({show(fact)})")
            case (_, *_):
                atoms.add(scope.fact(fact).atom(()))
            case _:
                raise ConfigError(f"{scope.where}: {show(fact)} is not a fact")
    return frozenset(atoms)
