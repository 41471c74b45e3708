# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectory constraints against their definitions over whole sequences of states, for all short sequences."""

import itertools
from collections.abc import Callable, Sequence

import pytest

from grpo_jax.pddl.execution import Outcome, execute

DOMAIN = """(define (domain d) (:types side) (:constants l r - side) (:predicates (a) (b) (seen ?s - side))
  (:action to-ab :parameters () :effect (and (a) (b)))
  (:action to-a :parameters () :effect (and (a) (not (b))))
  (:action to-b :parameters () :effect (and (not (a)) (b)))
  (:action to-none :parameters () :effect (and (not (a)) (not (b))))
  (:action see :parameters (?s - side) :effect (seen ?s))
  CONSTRAINTS)"""
PROBLEM = "(define (problem p) (:domain d) (:init INIT) (:constraints CONSTRAINT) (:goal ()))"
ACTIONS = {"": "to-none", "a": "to-a", "b": "to-b", "ab": "to-ab"}


def stretches_of_a(states: Sequence[str]) -> int:
    return sum("a" in now and "a" not in before for before, now in zip(["", *states], states, strict=False))


# Definitions over whole sequences; a state is the string of the letters that are true.
DEFINITIONS: dict[str, Callable[[Sequence[str]], bool]] = {
    "(always (a))": lambda s: all("a" in state for state in s),
    "(sometime (a))": lambda s: any("a" in state for state in s),
    "(at-most-once (a))": lambda s: stretches_of_a(s) <= 1,
    "(sometime-before (a) (b))": lambda s: all("b" in "".join(s[:i]) for i in range(len(s)) if "a" in s[i]),
    "(sometime-after (a) (b))": lambda s: all("b" in "".join(s[i:]) for i in range(len(s)) if "a" in s[i]),
    "(at end (a))": lambda s: "a" in s[-1],
}
BROKEN_ON_THE_WAY = ("(always (a))", "(at-most-once (a))", "(sometime-before (a) (b))")


def problem(constraint: str, initial: str = "") -> str:
    facts = " ".join(f"({letter})" for letter in initial)
    return PROBLEM.replace("CONSTRAINT", constraint).replace("INIT", facts)


@pytest.mark.parametrize("constraint", DEFINITIONS)
def test_every_sequence_of_four_states_is_judged_by_the_definition(make_task, constraint):
    holds = DEFINITIONS[constraint]
    for initial in ACTIONS:
        task = make_task(DOMAIN.replace("CONSTRAINTS", ""), problem(constraint, initial))
        for states in itertools.product(ACTIONS, repeat=3):
            execution = execute(task, [(ACTIONS[state],) for state in states])
            sequence = (initial, *states)
            assert (execution.outcome is Outcome.VALID) == holds(sequence), sequence
            if execution.outcome is not Outcome.VALID:
                assert execution.outcome is Outcome.CONSTRAINT_VIOLATED
                first = next(end for end in range(4) if not holds(sequence[: end + 1]))
                assert execution.step == (first if constraint in BROKEN_ON_THE_WAY else 3), sequence


def test_constraints_of_domain_and_problem_hold_together(make_task):
    task = make_task(DOMAIN.replace("CONSTRAINTS", "(:constraints (always (not (b))))"), problem("(sometime (a))"))
    assert execute(task, [("to-a",)]).outcome is Outcome.VALID
    assert execute(task, [("to-ab",)]).reason == "step 1: (always (not (b)))"
    assert execute(task, [("to-none",)]).reason == "at the end: (sometime (a))"


def test_quantified_constraints_bind_each_object(make_task):
    quantified = "(and (forall (?s - side) (sometime (seen ?s))) (always (not (b))))"
    task = make_task(DOMAIN.replace("CONSTRAINTS", ""), problem(quantified))
    assert execute(task, [("see", "l")]).outcome is Outcome.CONSTRAINT_VIOLATED
    assert execute(task, [("see", "l"), ("see", "r")]).outcome is Outcome.VALID


def test_a_broken_constraint_outranks_a_later_precondition(make_task):
    domain = DOMAIN.replace("CONSTRAINTS", "(:action never :parameters () :precondition (or) :effect (a))")
    task = make_task(domain, problem("(always (not (b)))"))
    assert execute(task, [("to-b",), ("never",)]).outcome is Outcome.CONSTRAINT_VIOLATED
    assert execute(task, [("never",), ("to-b",)]).outcome is Outcome.PRECONDITION_VIOLATED
