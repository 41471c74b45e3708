# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Semantics of conditions and effects, worked by hand."""

import pytest

from grpo_jax.pddl.execution import Outcome, execute

DOMAIN = """(define (domain d)
  (:types box bay)
  (:constants dock - bay)
  (:predicates (at ?b - box ?y - bay) (sealed ?b - box) (done) (flag) (other))
  (:action shift :parameters (?b - box ?from ?to - bay) :precondition (at ?b ?from)
    :effect (and (at ?b ?to) (not (at ?b ?from))))
  (:action check :parameters () :precondition {condition} :effect (done))
  (:action change :parameters () :effect {effect}))"""
PROBLEM = """(define (problem p) (:domain d)
  (:objects a b - box left - bay) (:init (at a dock) (at b left) (sealed b) (not (flag))) (:goal {goal}))"""


@pytest.fixture
def run(make_task):
    def run(*steps: str, condition: str = "()", effect: str = "()", goal: str = "(done)"):
        task = make_task(
            DOMAIN.replace("{condition}", condition).replace("{effect}", effect), PROBLEM.replace("{goal}", goal)
        )
        return execute(task, [tuple(step.split()) for step in steps])

    return run


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("()", True),
        ("(and)", True),
        ("(or)", False),
        ("(at a dock)", True),
        ("(not (at a dock))", False),
        ("(and (at a dock) (and (and (at b left))))", True),
        ("(or (sealed a) (at b left))", True),
        ("(imply (sealed a) (flag))", True),
        ("(imply (sealed b) (flag))", False),
        ("(forall (?x - box) (sealed ?x))", False),
        ("(exists (?x - box) (sealed ?x))", True),
        ("(forall (?x - box) (exists (?y - bay) (at ?x ?y)))", True),
        ("(exists (?y - bay) (forall (?x - box) (at ?x ?y)))", False),
        ("(exists (?x ?z - box) (and (not (= ?x ?z)) (sealed ?z) (at ?x dock)))", True),
        ("(exists (?x - box) (and (sealed ?x) (exists (?x - box) (at ?x dock)) (at ?x dock)))", False),
        ("(exists (?x - box) (and (exists (?x - box) (exists (?x - bay) (at a ?x))) (sealed ?x)))", True),
        ("(= dock left)", False),
        ("(= dock dock)", True),
    ],
)
def test_conditions_hold_as_logic_says(run, condition, holds):
    assert run("check", condition=condition).outcome is (Outcome.VALID if holds else Outcome.PRECONDITION_VIOLATED)


@pytest.mark.parametrize(
    ("effect", "goal"),
    [
        ("(and (flag) (not (flag)))", "(flag)"),  # added wins over deleted
        ("(and (not (flag)) (flag))", "(flag)"),
        ("(when (sealed b) (flag))", "(flag)"),
        ("(when (sealed a) (flag))", "(not (flag))"),
        ("(and (flag) (when (flag) (other)))", "(not (other))"),  # judged in the state before
        ("(forall (?x - box) (when (at ?x dock) (and (sealed ?x) (not (at ?x dock)))))", "(sealed a)"),
        ("(forall (?x - box) (when (at ?x dock) (and (sealed ?x) (not (at ?x dock)))))", "(not (at a dock))"),
        ("(forall (?x - box) (sealed ?x))", "(forall (?x - box) (sealed ?x))"),
        ("(forall (?x - box) (forall (?y - bay) (not (at ?x ?y))))", "(not (exists (?x - box ?y - bay) (at ?x ?y)))"),
        ("(increase (total-cost) 3)", "(at a dock)"),
    ],
)  # fmt: skip
def test_effects_change_what_they_name(run, effect, goal):
    assert run("change", effect=effect, goal=goal).outcome is Outcome.VALID


def test_moving_from_a_place_to_itself_stays_there(run):
    assert run("shift a dock dock", goal="(at a dock)").outcome is Outcome.VALID


def test_first_violation_decides_and_is_numbered_from_one(run):
    execution = run("check", "shift a left dock", "shift b dock left")
    assert (execution.outcome, execution.step) == (Outcome.PRECONDITION_VIOLATED, 2)
    assert execution.reason == "step 2: precondition of (shift a left dock)"


def test_goals_are_counted_at_start_and_end(run):
    execution = run("shift a dock left", goal="(and (at a dock) (sealed b) (at a left) (flag))")
    assert (execution.goals_at_start, execution.goals_at_end, execution.goals) == (2, 2, 4)
    assert execution.outcome is Outcome.GOALS_MISSING


def test_distance_counts_the_shortest_way_through_the_states_met(run):
    there, back = "shift a dock left", "shift a left dock"
    assert run(there, goal="(flag)").distance == 1
    assert run(there, back, there, goal="(flag)").distance == 1
    assert run(there, back, goal="(flag)").distance == 0
    assert run("change", there, goal="(flag)").distance == 1
    assert run(there, "shift b left dock", back, goal="(flag)").distance == 3
