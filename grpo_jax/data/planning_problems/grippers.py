# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Grippers: robots with two grippers each carry balls between rooms."""

import random
from collections.abc import Mapping

from grpo_jax.data.planning_problems.scenario import Instance, Scenario
from grpo_jax.pddl.plan_text import Step

_DESCRIPTION = """\
Robots carry balls between rooms. A robot can go from any room to any other (move), take a ball that is in its room \
with a free gripper of its own (pick), and put down a ball that one of its grippers holds (drop). Each robot has two \
grippers, left and right, and each gripper holds one ball."""

_DOMAIN = """\
(define (domain gripper-strips)
  (:requirements :strips :typing)
  (:types room ball robot gripper - object)
  (:predicates
    (at-robby ?robot - robot ?room - room)
    (at ?ball - ball ?room - room)
    (free ?robot - robot ?gripper - gripper)
    (carry ?robot - robot ?ball - ball ?gripper - gripper)
  )

  (:action move
    :parameters (?robot - robot ?from ?to - room)
    :precondition (and (at-robby ?robot ?from))
    :effect (and
      (at-robby ?robot ?to)
      (not (at-robby ?robot ?from))
    )
  )

  (:action pick
    :parameters (?robot - robot ?ball - ball ?room - room ?gripper - gripper)
    :precondition (and (at-robby ?robot ?room) (at ?ball ?room) (free ?robot ?gripper))
    :effect (and
      (carry ?robot ?ball ?gripper)
      (not (at ?ball ?room))
      (not (free ?robot ?gripper))
    )
  )

  (:action drop
    :parameters (?robot - robot ?ball - ball ?room - room ?gripper - gripper)
    :precondition (and (at-robby ?robot ?room) (carry ?robot ?ball ?gripper))
    :effect (and
      (at ?ball ?room)
      (free ?robot ?gripper)
      (not (carry ?robot ?ball ?gripper))
    )
  )
)
"""


def _plan(
    robot: str, room: str, grippers: tuple[str, str], starts: Mapping[str, str], goals: Mapping[str, str]
) -> list[Step]:
    """One robot does it all, with both grippers; not the shortest plan in general."""
    waiting = {ball: place for ball, place in starts.items() if place != goals[ball]}
    held: dict[str, str] = {}
    steps: list[Step] = []
    while waiting or held:
        for gripper, ball in list(held.items()):
            if goals[ball] == room:
                steps.append(("drop", robot, ball, room, gripper))
                del held[gripper]
        here = [ball for ball, place in waiting.items() if place == room]
        # Balls that go where a held one goes come first: they are dropped on the same visit.
        here.sort(key=lambda ball: goals[ball] not in {goals[other] for other in held.values()})
        for ball, gripper in zip(here, [gripper for gripper in grippers if gripper not in held], strict=False):
            steps.append(("pick", robot, ball, room, gripper))
            held[gripper] = ball
            del waiting[ball]
        if held:
            target = goals[next(iter(held.values()))]
        elif waiting:
            target = next(iter(waiting.values()))
        else:
            break
        steps.append(("move", robot, room, target))
        room = target
    return steps


def _make(parameters: Mapping[str, int], rng: random.Random) -> Instance:
    robots = [f"robot{number}" for number in range(1, parameters["n"] + 1)]
    rooms = [f"room{number}" for number in range(1, parameters["r"] + 1)]
    balls = [f"ball{number}" for number in range(1, parameters["o"] + 1)]
    grippers = {robot: (f"rgripper{n}", f"lgripper{n}") for n, robot in enumerate(robots, start=1)}
    places = {robot: rng.choice(rooms) for robot in robots}
    starts = goals = {ball: rooms[0] for ball in balls}
    while starts == goals:
        starts, goals = ({ball: rng.choice(rooms) for ball in balls} for _ in range(2))
    plans = [_plan(robot, places[robot], grippers[robot], starts, goals) for robot in robots]
    return Instance(
        objects={
            "robot": robots,
            "gripper": [gripper for pair in grippers.values() for gripper in pair],
            "room": rooms,
            "ball": balls,
        },
        initial=[
            *(("at-robby", robot, room) for robot, room in places.items()),
            *(("free", robot, gripper) for robot in robots for gripper in grippers[robot]),
            *(("at", ball, room) for ball, room in starts.items()),
        ],
        goals=[("at", ball, room) for ball, room in goals.items()],
        plan=min(plans, key=len),
    )


GRIPPERS = Scenario(
    name="grippers",
    description=_DESCRIPTION,
    domain_name="gripper-strips",
    domain=_DOMAIN,
    ranges={"n": (1, 2), "r": (2, 5), "o": (2, 5)},
    file_stem="grippers-n{n}-r{r}-o{o}-s{seed}",
    allowed=lambda parameters: parameters["n"] >= 1 and parameters["r"] >= 2 and parameters["o"] >= 1,
    make=_make,
)
