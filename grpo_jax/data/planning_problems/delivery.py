# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Delivery: a truck brings packages to other cells of a square grid, one at a time."""

import itertools
import random
from collections.abc import Mapping

from grpo_jax.data.planning_problems.scenario import Instance, Scenario
from grpo_jax.data.planning_problems.visiting_order import visiting_order
from grpo_jax.pddl.plan_text import Step

_DESCRIPTION = """\
A truck delivers packages on a square grid of cells. It can drive to an adjacent cell (move), load a package that is \
in its cell if it is empty (pick-package), and put down the package that it carries in the cell where it is \
(drop-package). It carries one package at a time."""

_DOMAIN = """\
(define (domain delivery)
  (:requirements :strips :typing :equality :negative-preconditions)
  (:types
    cell locatable - object
    package truck - locatable
  )
  (:predicates
    (adjacent ?cell - cell ?other - cell)
    (at ?thing - locatable ?cell - cell)
    (carrying ?truck - truck ?package - package)
    (empty ?truck - truck)
  )

  (:action move
    :parameters (?truck - truck ?from - cell ?to - cell)
    :precondition (and (at ?truck ?from) (adjacent ?from ?to) (not (= ?from ?to)))
    :effect (and
      (at ?truck ?to)
      (not (at ?truck ?from))
    )
  )

  (:action pick-package
    :parameters (?truck - truck ?package - package ?cell - cell)
    :precondition (and (at ?truck ?cell) (at ?package ?cell) (empty ?truck))
    :effect (and
      (carrying ?truck ?package)
      (not (at ?package ?cell))
      (not (empty ?truck))
    )
  )

  (:action drop-package
    :parameters (?truck - truck ?package - package ?cell - cell)
    :precondition (and (at ?truck ?cell) (carrying ?truck ?package))
    :effect (and
      (at ?package ?cell)
      (empty ?truck)
      (not (carrying ?truck ?package))
    )
  )
)
"""
_TRUCK = "t1"

Cell = tuple[int, int]


def _name(cell: Cell) -> str:
    return f"c_{cell[0]}_{cell[1]}"


def _distance(here: Cell, there: Cell) -> int:
    return abs(here[0] - there[0]) + abs(here[1] - there[1])


def _drive(here: Cell, there: Cell) -> list[Step]:
    """Along the first coordinate, then along the second."""
    steps: list[Step] = []
    while here != there:
        row, column = here
        if row != there[0]:
            row += 1 if there[0] > row else -1
        else:
            column += 1 if there[1] > column else -1
        steps.append(("move", _TRUCK, _name(here), _name((row, column))))
        here = (row, column)
    return steps


def _plan(truck: Cell, starts: Mapping[str, Cell], goals: Mapping[str, Cell]) -> list[Step]:
    """The shortest plan up to six packages: each is taken straight to its goal."""
    loads = [(package, starts[package], goals[package]) for package in starts]
    steps: list[Step] = []
    for package, origin, target in visiting_order(truck, loads, _distance):
        steps += _drive(truck, origin)
        steps.append(("pick-package", _TRUCK, package, _name(origin)))
        steps += _drive(origin, target)
        steps.append(("drop-package", _TRUCK, package, _name(target)))
        truck = target
    return steps


def _make(parameters: Mapping[str, int], rng: random.Random) -> Instance:
    size = parameters["s"]
    cells = [(row, column) for row in range(size) for column in range(size)]
    packages = [f"p{number}" for number in range(1, parameters["p"] + 1)]
    truck = rng.choice(cells)
    starts: dict[str, Cell] = {}
    goals: dict[str, Cell] = {}
    for package in packages:
        starts[package], goals[package] = rng.sample(cells, 2)
    pairs = [(here, there) for here, there in itertools.product(cells, repeat=2) if _distance(here, there) == 1]
    return Instance(
        objects={"cell": [_name(cell) for cell in cells], "package": packages, "truck": [_TRUCK]},
        initial=[
            *(("adjacent", _name(here), _name(there)) for here, there in pairs),
            *(("at", package, _name(cell)) for package, cell in starts.items()),
            ("at", _TRUCK, _name(truck)),
            ("empty", _TRUCK),
        ],
        goals=[("at", package, _name(cell)) for package, cell in goals.items()],
        plan=_plan(truck, starts, goals),
    )


DELIVERY = Scenario(
    name="delivery",
    description=_DESCRIPTION,
    domain_name="delivery",
    domain=_DOMAIN,
    ranges={"s": (2, 5), "p": (1, 3)},
    file_stem="delivery-s{s}-p{p}-seed{seed}",
    allowed=lambda parameters: parameters["s"] >= 2 and parameters["p"] >= 1,
    make=_make,
)
