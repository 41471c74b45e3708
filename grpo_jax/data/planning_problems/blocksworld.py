# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Blocksworld with four operators: towers of blocks are rebuilt by an arm that holds one block."""

import random
from collections.abc import Mapping

from grpo_jax.data.planning_problems.scenario import Instance, Scenario
from grpo_jax.pddl.plan_text import Step

_DESCRIPTION = """\
Blocks stand on a table or on one another. A robot arm moves one block at a time. It can pick up a block from the \
table (pickup), put the block that it holds on the table (putdown), put it on top of another block (stack), or take a \
block off the top of another (unstack). A block can only be taken if the arm is empty and no block is on top of it, \
and can only be put on a block that has no other on top."""

_DOMAIN = """\
(define (domain blocksworld-4ops)
  (:requirements :strips)
  (:predicates
    (on ?upper ?lower)
    (on-table ?block)
    (clear ?block)
    (holding ?block)
    (arm-empty)
  )

  (:action pickup
    :parameters (?block)
    :precondition (and (arm-empty) (clear ?block) (on-table ?block))
    :effect (and
      (holding ?block)
      (not (arm-empty))
      (not (clear ?block))
      (not (on-table ?block))
    )
  )

  (:action putdown
    :parameters (?block)
    :precondition (and (holding ?block))
    :effect (and
      (on-table ?block)
      (clear ?block)
      (arm-empty)
      (not (holding ?block))
    )
  )

  (:action stack
    :parameters (?upper ?lower)
    :precondition (and (holding ?upper) (clear ?lower))
    :effect (and
      (on ?upper ?lower)
      (clear ?upper)
      (arm-empty)
      (not (clear ?lower))
      (not (holding ?upper))
    )
  )

  (:action unstack
    :parameters (?upper ?lower)
    :precondition (and (arm-empty) (clear ?upper) (on ?upper ?lower))
    :effect (and
      (holding ?upper)
      (clear ?lower)
      (not (arm-empty))
      (not (clear ?upper))
      (not (on ?upper ?lower))
    )
  )
)
"""

Supports = dict[str, str | None]
"""Block -> the block under it, None for the table."""


def _towers(blocks: list[str], rng: random.Random) -> Supports:
    """Put the blocks down one after another, each on the table or on a tower, all places alike."""
    supports: Supports = {}
    tops: list[str | None] = [None]
    for block in rng.sample(blocks, len(blocks)):
        place = rng.randrange(len(tops))
        supports[block] = tops[place]
        if place:
            tops[place] = block
        else:
            tops.append(block)
    return supports


def _plan(start: Supports, goal: Supports) -> list[Step]:
    """Move a block straight to its place where it is ready, else clear the way by putting one on the table.

    Not the shortest plan in general. Blocks of the lowest layer of the goal go to the table.
    """
    supports, steps = dict(start), []

    def placed(block: str | None) -> bool:
        return block is None or (supports[block] == goal[block] and placed(goal[block]))

    while misplaced := [block for block in supports if not placed(block)]:
        covered = set(supports.values())
        free = [block for block in misplaced if block not in covered]
        ready = [block for block in free if placed(goal[block]) and (goal[block] is None or goal[block] not in covered)]
        block = ready[0] if ready else next(block for block in free if supports[block] is not None)
        below, target = supports[block], goal[block] if ready else None
        steps.append(("pickup", block) if below is None else ("unstack", block, below))
        steps.append(("putdown", block) if target is None else ("stack", block, target))
        supports[block] = target
    return steps


def _make(parameters: Mapping[str, int], rng: random.Random) -> Instance:
    blocks = [f"b{number}" for number in range(1, parameters["n"] + 1)]
    start, goal = _towers(blocks, rng), _towers(blocks, rng)
    while all(below is None or start[block] == below for block, below in goal.items()):
        start, goal = _towers(blocks, rng), _towers(blocks, rng)
    covered = set(start.values())
    return Instance(
        objects={"": blocks},
        initial=[
            ("arm-empty",),
            *(("on-table", block) if start[block] is None else ("on", block, str(start[block])) for block in blocks),
            *(("clear", block) for block in blocks if block not in covered),
        ],
        goals=[("on", block, below) for block in blocks if (below := goal[block]) is not None],
        plan=_plan(start, goal),
    )


BLOCKSWORLD = Scenario(
    name="blocksworld",
    description=_DESCRIPTION,
    domain_name="blocksworld-4ops",
    domain=_DOMAIN,
    ranges={"n": (3, 8)},
    file_stem="bw_ops4_n{n}_seed{seed}",
    allowed=lambda parameters: parameters["n"] >= 2,
    make=_make,
)
