# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What is read, and what is refused with its file and feature."""

import pytest

from grpo_jax.pddl.execution import Outcome, bind, execute
from grpo_jax.pddl.plan_text import PlanError
from grpo_jax.pddl.task import load_task
from grpo_jax.records import ConfigError

DOMAIN = """(define (domain lamps)
  (:types lamp - thing  thing room)
  (:predicates (on ?l - lamp) (in ?t - thing ?r - room))
  (:action switch :parameters (?l - lamp) :precondition (not (on ?l)) :effect (on ?l)))"""
PROBLEM = """(define (problem two) (:domain lamps)
  (:objects l1 l2 - lamp kitchen - room) (:init (in l1 kitchen)) (:goal (and (on l1) (and (on l2)))))"""


def outcome(task, *steps: str):
    return execute(task, [tuple(step.split()) for step in steps]).outcome


def test_nested_conjunctions_of_the_goal_are_single_goals(make_task):
    execution = execute(make_task(DOMAIN, PROBLEM), [("switch", "l2")])
    assert (execution.outcome, execution.goals_at_end, execution.goals) == (Outcome.GOALS_MISSING, 1, 2)


def test_letter_case_and_comments_do_not_matter(make_task):
    task = make_task(DOMAIN.upper(), "; first (line\n" + PROBLEM.replace("l1", "L1").replace(":goal", ":GOAL"))
    assert outcome(task, "switch l1", "switch l2") is Outcome.VALID


def test_subtypes_are_accepted_and_other_types_are_not(make_task):
    task = make_task(DOMAIN.replace("(on ?l - lamp)", "(on ?l - thing)"), PROBLEM)
    bind(task, [("switch", "l1")])
    with pytest.raises(PlanError, match="'kitchen' is an object of the wrong type"):
        bind(task, [("switch", "kitchen")])


@pytest.mark.parametrize(
    ("step", "message"),
    [(("dim", "l1"), "no action 'dim'"), (("switch",), "takes 1 objects, got 0"), (("switch", "l9"), "is no object")],
)
def test_steps_that_are_no_actions_of_the_task_are_named(make_task, step, message):
    with pytest.raises(PlanError, match=message):
        execute(make_task(DOMAIN, PROBLEM), [("switch", "l1"), step])


def test_type_named_object_means_all_objects(make_task):
    domain = DOMAIN.replace("lamp - thing  thing room", "lamp room object").replace("?t - thing", "?t - object")
    task = make_task(
        domain.replace("(:action switch :parameters (?l - lamp)", "(:action switch :parameters (?l - object)"), PROBLEM
    )
    assert {"l1", "kitchen"} <= task.actions["switch"].parameters[0]


def test_either_joins_types_and_constants_are_objects(make_task):
    domain = """(define (domain d) (:types cup plate spoon) (:constants shelf - plate)
      (:predicates (clean ?x - (either cup plate)) (seen))
      (:action wash :parameters (?x - (either cup plate)) :effect (clean ?x))
      (:action look :parameters () :precondition (clean shelf) :effect (seen)))"""
    task = make_task(domain, "(define (problem p) (:domain d) (:objects c - cup s - spoon) (:init) (:goal (seen)))")
    assert outcome(task, "wash shelf", "look") is Outcome.VALID
    assert outcome(task, "wash c", "look") is Outcome.PRECONDITION_VIOLATED
    with pytest.raises(PlanError):
        bind(task, [("wash", "s")])


def test_types_of_objects_are_read_over_where_the_domain_declares_none(make_task):
    domain = "(define (domain d) (:predicates (p ?x)) (:action a :parameters (?x) :effect (p ?x)))"
    task = make_task(domain, "(define (problem p) (:domain d) (:objects x - block) (:init) (:goal (p x)))")
    assert outcome(task, "a x") is Outcome.VALID


def test_action_costs_are_read_over(make_task):
    domain = """(define (domain d) (:requirements :strips :action-costs)
      (:predicates (p)) (:functions (total-cost) - number (price ?x) - number)
      (:action a :parameters (?x) :effect (and (p) (increase (total-cost) (price ?x)))))"""
    problem = """(define (problem p) (:domain d) (:objects x) (:init (= (total-cost) 0) (= (price x) 3)) (:goal (p))
      (:metric minimize (total-cost)))"""
    assert outcome(make_task(domain, problem), "a x") is Outcome.VALID


ACTION = "(:action switch :parameters (?l - lamp) :precondition (not (on ?l)) :effect (on ?l))"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(:action switch", "(:durative-action switch", "durative actions are not supported"),
        ("(:action switch", "(:derived (on ?x) (on ?x)) (:action switch", "derived predicates are not supported"),
        (":effect (on ?l)", ":effect (and (on ?l) (decrease (fuel) 1))", "numeric effect .* is not supported"),
        (":effect (on ?l)", ":effect (increase (fuel) 1)", "numeric effect .* is not supported"),
        (":effect (on ?l)", ":effect (assign (fuel) 1)", "numeric effect .* is not supported"),
        ("(not (on ?l))", "(> (fuel) 1)", "numeric condition .* is not supported"),
        ("(not (on ?l))", "(= (place ?l) kitchen)", "numeric or object fluent"),
        ("(not (on ?l))", "(preference p1 (on ?l))", "preferences are not supported"),
        (":effect (on ?l)", ":effect (on ?m)", r"variable '\?m' is not declared"),
        (":effect (on ?l)", ":effect (lit ?l)", "predicate 'lit' is not declared"),
        (":effect (on ?l)", ":effect (on ?l ?l)", "has 2 arguments, on takes 1"),
        (":effect (on ?l)", ":duration 3", ":duration is not supported"),
        ("(?l - lamp) :precondition", "(?l - lantern) :precondition", "type 'lantern' is not declared"),
        ("(define (domain lamps)", "(define (problem lamps)", "not a PDDL domain"),
        (":effect (on ?l)))", ":effect (on ?l)", "parentheses are never closed"),
        (":effect (on ?l)))", ":effect (on ?l))))", "too many"),
    ],
)  # fmt: skip
def test_what_is_not_supported_in_a_domain_is_refused_at_load(pddl_files, old, new, message):
    changed = DOMAIN.replace(old, new)
    assert changed != DOMAIN
    domain, problem = pddl_files(changed, PROBLEM)
    with pytest.raises(ConfigError, match=message) as raised:
        load_task(domain, problem)
    assert str(domain) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(in l1 kitchen)", "(at 5 (on l1))", "timed initial facts are not supported"),
        ("(in l1 kitchen)", "(in l1 cellar)", "object 'cellar' is not declared"),
        ("(:init", "(:init (on l1 l2)", "has 2 arguments"),
        ("- room", "- hall", "type 'hall' is not declared"),
        ("(:goal (and (on l1) (and (on l2))))", "", r"wanted one \(:goal"),
        ("(:goal", "(:constraints (within 3 (on l1))) (:goal", "constraint 'within' is not supported"),
        ("(:goal", "(:constraints (preference q (always (on l1)))) (:goal", "'preference' is not supported"),
        ("(:goal", "(:wishes (on l1)) (:goal", "section ':wishes' is not supported"),
        ("(:goal (and (on l1)", "(:goal (and (>= (fuel) 3)", "numeric condition"),
    ],
)
def test_what_is_not_supported_in_a_problem_is_refused_at_load(pddl_files, old, new, message):
    changed = PROBLEM.replace(old, new)
    assert changed != PROBLEM
    domain, problem = pddl_files(DOMAIN, changed)
    with pytest.raises(ConfigError, match=message) as raised:
        load_task(domain, problem)
    assert str(problem) in str(raised.value)


def test_absent_and_binary_files_are_named(pddl_files, tmp_path):
    domain, problem = pddl_files(DOMAIN, PROBLEM)
    with pytest.raises(ConfigError, match=r"absent\.pddl: No such file"):
        load_task(domain, tmp_path / "absent.pddl")
    problem.write_bytes(b"\xff\xfe\x00(")
    with pytest.raises(ConfigError, match="not a UTF-8 text file"):
        load_task(domain, problem)


def test_deep_nesting_is_refused_and_does_not_overflow(pddl_files):
    deep = "(not " * 50_000 + "(on l1)" + ")" * 50_000
    domain, problem = pddl_files(DOMAIN, PROBLEM.replace("(on l1)", deep))
    with pytest.raises(ConfigError, match="nest deeper than 100"):
        load_task(domain, problem)


def test_published_problems_load(shared_data):
    folders = [path.parent for path in sorted((shared_data / "pddl_published").glob("*/domain.pddl"))]
    assert len(folders) == 4
    for folder in folders:
        for problem in (folder / "problems").glob("*.pddl"):
            assert load_task(folder / "domain.pddl", problem).goals
