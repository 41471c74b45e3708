# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Typed lists of PDDL and the objects of each type."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grpo_jax.pddl.s_expressions import Expression, show
from grpo_jax.records import ConfigError

ROOT_TYPE = "object"

TypeNames = tuple[str, ...]
"""One type, or the alternatives of `(either ...)`."""


def read_typed_list(items: Iterable[Expression], where: str) -> list[tuple[str, TypeNames]]:
    """Read `a b - t c` as [(a, (t,)), (b, (t,)), (c, ("object",))].

    Raises:
        ConfigError: Something else than names and types stands in the list.
    """
    found: list[tuple[str, TypeNames]] = []
    names: list[str] = []
    words = iter(items)
    for word in words:
        if not isinstance(word, str):
            raise ConfigError(f"{where}: wanted a name, found {show(word)}")
        if word != "-":
            names.append(word)
            continue
        kind = next(words, None)
        if kind is None or not names:
            raise ConfigError(f"{where}: '-' must stand between names and their type")
        found += [(name, _type_names(kind, where)) for name in names]
        names = []
    return found + [(name, (ROOT_TYPE,)) for name in names]


def _type_names(kind: Expression, where: str) -> TypeNames:
    if isinstance(kind, str):
        return (kind,)
    names = tuple(name for name in kind[1:] if isinstance(name, str))
    if len(kind) < 2 or kind[0] != "either" or len(names) < len(kind) - 1:
        raise ConfigError(f"{where}: {show(kind)} is not a type")
    return names


@dataclass(frozen=True, slots=True)
class TypeTree:
    """The declared types; each has one parent or several, `object` above all.

    Attributes:
        parents: Type -> the types directly above it.
    """

    parents: Mapping[str, TypeNames]

    def ancestors(self, kind: str) -> set[str]:
        """A type with all types above it, `object` included."""
        found: set[str] = {ROOT_TYPE}
        left = [kind]
        while left:
            name = left.pop()
            if name not in found or name == kind:
                found.add(name)
                left += [parent for parent in self.parents.get(name, ()) if parent not in found]
        return found

    def check(self, names: TypeNames, where: str) -> None:
        """Raise `ConfigError` where a type was not declared."""
        for name in names:
            if name != ROOT_TYPE and name not in self.parents:
                raise ConfigError(f"{where}: type {name!r} is not declared in (:types ...)")


def read_types(items: Iterable[Expression], where: str) -> TypeTree:
    """Read the section `(:types ...)`; a type named only as a parent is declared by that."""
    parents: dict[str, TypeNames] = {}
    for name, above in read_typed_list(items, where):
        parents[name] = parents.get(name, ()) + above
    for above in list(parents.values()):
        for name in above:
            parents.setdefault(name, (ROOT_TYPE,))
    return TypeTree(parents)


class Objects:
    """The objects of a problem, constants of its domain included.

    Args:
        tree: The types.
        kinds: Object -> its type, or the alternatives of `(either ...)`, all of which it then counts as.
    """

    def __init__(self, tree: TypeTree, kinds: Mapping[str, TypeNames]) -> None:
        self._tree = tree
        self._by_type: dict[str, frozenset[str]] = {}
        members: dict[str, set[str]] = {}
        for name, types in kinds.items():
            for kind in types:
                for above in tree.ancestors(kind):
                    members.setdefault(above, set()).add(name)
        self._by_type = {kind: frozenset(names) for kind, names in members.items()}
        self._order = list(kinds)

    def __contains__(self, name: object) -> bool:
        return name in self._by_type.get(ROOT_TYPE, ())

    def of(self, types: TypeNames, where: str) -> frozenset[str]:
        """The objects of a type or of any of several.

        Raises:
            ConfigError: A type was not declared.
        """
        self._tree.check(types, where)
        if len(types) == 1:
            return self._by_type.get(types[0], frozenset())
        return frozenset().union(*(self._by_type.get(kind, frozenset()) for kind in types))

    def listed(self, types: TypeNames, where: str) -> tuple[str, ...]:
        """The same in the order of declaration, which quantifiers go through."""
        members = self.of(types, where)
        return tuple(name for name in self._order if name in members)
