# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Spanner: a man collects spanners on a one-way road and tightens nuts at its end."""

import itertools
import random
from collections.abc import Mapping

from grpo_jax.data.planning_problems.scenario import Instance, Scenario
from grpo_jax.pddl.plan_text import Step

_DESCRIPTION = """\
A man walks from the shed over a row of locations to the gate, where nuts must be tightened. He can walk along a link \
(walk), pick up a spanner where he stands (pickup_spanner), and tighten a loose nut where he stands with a spanner \
that he carries (tighten_nut). Links lead one way only, so he cannot go back, and every spanner can be used once. He \
can carry any number of spanners."""

_DOMAIN = """\
(define (domain spanner)
  (:requirements :strips :typing)
  (:types
    location locatable - object
    man spanner nut - locatable
  )
  (:predicates
    (at ?thing - locatable ?place - location)
    (link ?from - location ?to - location)
    (carrying ?man - man ?spanner - spanner)
    (useable ?spanner - spanner)
    (loose ?nut - nut)
    (tightened ?nut - nut)
  )

  (:action walk
    :parameters (?from - location ?to - location ?man - man)
    :precondition (and (at ?man ?from) (link ?from ?to))
    :effect (and
      (at ?man ?to)
      (not (at ?man ?from))
    )
  )

  (:action pickup_spanner
    :parameters (?place - location ?spanner - spanner ?man - man)
    :precondition (and (at ?man ?place) (at ?spanner ?place))
    :effect (and
      (carrying ?man ?spanner)
      (not (at ?spanner ?place))
    )
  )

  (:action tighten_nut
    :parameters (?place - location ?spanner - spanner ?man - man ?nut - nut)
    :precondition (and (at ?man ?place) (at ?nut ?place) (carrying ?man ?spanner) (useable ?spanner) (loose ?nut))
    :effect (and
      (tightened ?nut)
      (not (loose ?nut))
      (not (useable ?spanner))
    )
  )
)
"""
_MAN = "bob"


def _make(parameters: Mapping[str, int], rng: random.Random) -> Instance:
    spanners = [f"spanner{number}" for number in range(1, parameters["s"] + 1)]
    nuts = [f"nut{number}" for number in range(1, parameters["n"] + 1)]
    stops = [f"location{number}" for number in range(1, parameters["l"] + 1)]
    road = ["shed", *stops, "gate"]
    places = {spanner: rng.choice(stops) for spanner in spanners}
    carried: list[str] = []
    plan: list[Step] = []  # the shortest: one pass, with as many spanners as there are nuts
    for here, there in itertools.pairwise(road):
        for spanner in [spanner for spanner in spanners if places[spanner] == here][: len(nuts) - len(carried)]:
            plan.append(("pickup_spanner", here, spanner, _MAN))
            carried.append(spanner)
        plan.append(("walk", here, there, _MAN))
    plan += [("tighten_nut", "gate", spanner, _MAN, nut) for spanner, nut in zip(carried, nuts, strict=True)]
    return Instance(
        objects={"man": [_MAN], "spanner": spanners, "nut": nuts, "location": road},
        initial=[
            ("at", _MAN, "shed"),
            *(("at", spanner, place) for spanner, place in places.items()),
            *(("useable", spanner) for spanner in spanners),
            *(fact for nut in nuts for fact in (("at", nut, "gate"), ("loose", nut))),
            *(("link", here, there) for here, there in itertools.pairwise(road)),
        ],
        goals=[("tightened", nut) for nut in nuts],
        plan=plan,
    )


SPANNER = Scenario(
    name="spanner",
    description=_DESCRIPTION,
    domain_name="spanner",
    domain=_DOMAIN,
    ranges={"s": (1, 5), "n": (1, 5), "l": (3, 5)},
    file_stem="spanner-s{s}-n{n}-l{l}-s{seed}",
    allowed=lambda parameters: 1 <= parameters["n"] <= parameters["s"] and parameters["l"] >= 1,
    make=_make,
)
