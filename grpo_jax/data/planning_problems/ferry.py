# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Ferry: cars are brought to other shores by a ferry that takes one of them."""

import itertools
import random
from collections.abc import Mapping

from grpo_jax.data.planning_problems.scenario import Instance, Scenario
from grpo_jax.data.planning_problems.visiting_order import visiting_order
from grpo_jax.pddl.plan_text import Step

_DESCRIPTION = """\
Cars wait at several locations and a ferry takes them to others. The ferry can sail between any two different \
locations (sail), take one car on board at the location where both are (board), and put the car on board ashore where \
it lies (debark). It holds one car at a time."""

_DOMAIN = """\
(define (domain ferry)
  (:predicates
    (location ?place)
    (car ?car)
    (not-eq ?place ?other)
    (at-ferry ?place)
    (at ?car ?place)
    (on ?car)
    (empty-ferry)
  )

  (:action sail
    :parameters (?from ?to)
    :precondition (and (location ?from) (location ?to) (not-eq ?from ?to) (at-ferry ?from))
    :effect (and
      (at-ferry ?to)
      (not (at-ferry ?from))
    )
  )

  (:action board
    :parameters (?car ?place)
    :precondition (and (car ?car) (location ?place) (at-ferry ?place) (at ?car ?place) (empty-ferry))
    :effect (and
      (on ?car)
      (not (at ?car ?place))
      (not (empty-ferry))
    )
  )

  (:action debark
    :parameters (?car ?place)
    :precondition (and (car ?car) (location ?place) (at-ferry ?place) (on ?car))
    :effect (and
      (at ?car ?place)
      (empty-ferry)
      (not (on ?car))
    )
  )
)
"""


def _plan(ferry: str, starts: Mapping[str, str], goals: Mapping[str, str]) -> list[Step]:
    """The shortest plan up to six cars: each car is taken straight to its goal."""
    loads = [(car, starts[car], goals[car]) for car in starts if starts[car] != goals[car]]
    steps: list[Step] = []
    for car, origin, target in visiting_order(ferry, loads, lambda here, there: int(here != there)):
        if ferry != origin:
            steps.append(("sail", ferry, origin))
        steps += [("board", car, origin), ("sail", origin, target), ("debark", car, target)]
        ferry = target
    return steps


def _make(parameters: Mapping[str, int], rng: random.Random) -> Instance:
    places = [f"l{number}" for number in range(parameters["l"])]
    cars = [f"c{number}" for number in range(parameters["c"])]
    ferry = rng.choice(places)
    starts = goals = {car: places[0] for car in cars}
    while starts == goals:
        starts, goals = ({car: rng.choice(places) for car in cars} for _ in range(2))
    return Instance(
        objects={"": [*places, *cars]},
        initial=[
            *(("location", place) for place in places),
            *(("car", car) for car in cars),
            *(("not-eq", *pair) for pair in itertools.permutations(places, 2)),
            ("empty-ferry",),
            ("at-ferry", ferry),
            *(("at", car, place) for car, place in starts.items()),
        ],
        goals=[("at", car, place) for car, place in goals.items()],
        plan=_plan(ferry, starts, goals),
    )


FERRY = Scenario(
    name="ferry",
    description=_DESCRIPTION,
    domain_name="ferry",
    domain=_DOMAIN,
    ranges={"l": (3, 6), "c": (1, 5)},
    file_stem="ferry-l{l}-c{c}-s{seed}",
    allowed=lambda parameters: parameters["l"] >= 2 and parameters["c"] >= 1,
    make=_make,
)
