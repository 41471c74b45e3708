# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The interpreter agrees with unified-planning's validator on plans mutated at random, valid and invalid ones."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from unified_planning.engines import CompilationKind
from unified_planning.engines.compilers.trajectory_constraints_remover import TrajectoryConstraintsRemover
from unified_planning.engines.plan_validator import SequentialPlanValidator
from unified_planning.engines.results import ValidationResultStatus
from unified_planning.exceptions import UPTypeError, UPValueError
from unified_planning.io import PDDLReader
from unified_planning.plans import ActionInstance, SequentialPlan

from grpo_jax.data.planning_problems.write import SCENARIOS, write_planning_problems
from grpo_jax.pddl.execution import Outcome, execute
from grpo_jax.pddl.plan_text import PlanError, Step, read_plan_file
from grpo_jax.pddl.task import Task, load_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its use of pyparsing
PLANS_A_PROBLEM = 40

# Everything that the five scenarios do not use.
WORKSHOP = """(define (domain workshop)
  (:requirements :adl)
  (:types tool part - thing  thing bench worker)
  (:constants vice - tool)
  (:predicates (at ?t - thing ?b - bench) (by ?w - worker ?b - bench) (held ?t - thing ?w - worker) (locked)
    (joined ?p ?q - part) (tidy ?b - bench))
  (:action walk :parameters (?w - worker ?from ?to - bench)
    :precondition (and (by ?w ?from) (not (= ?from ?to)) (or (not (locked)) (tidy ?to)))
    :effect (and (by ?w ?to) (not (by ?w ?from)) (forall (?t - thing) (when (held ?t ?w) (not (tidy ?to))))))
  (:action take :parameters (?w - worker ?t - thing ?b - bench)
    :precondition (and (by ?w ?b) (at ?t ?b) (forall (?o - thing) (not (held ?o ?w))))
    :effect (and (held ?t ?w) (not (at ?t ?b))
      (when (not (exists (?o - thing) (and (not (= ?o ?t)) (at ?o ?b)))) (tidy ?b))))
  (:action put :parameters (?w - worker ?t - thing ?b - bench)
    :precondition (and (by ?w ?b) (held ?t ?w))
    :effect (and (at ?t ?b) (not (held ?t ?w)) (not (tidy ?b))))
  (:action join :parameters (?w - worker ?p ?q - part ?b - bench)
    :precondition (and (by ?w ?b) (at ?p ?b) (at ?q ?b) (imply (locked) (at vice ?b)) (not (= ?p ?q)))
    :effect (and (joined ?p ?q) (joined ?q ?p)))
  (:action sweep :parameters (?b - bench) :precondition (exists (?w - worker) (by ?w ?b))
    :effect (and (forall (?t - tool) (not (at ?t ?b))) (locked) (when (at vice ?b) (at vice ?b)))))"""
WORKSHOP_PROBLEM = """(define (problem w) (:domain workshop)
  (:objects saw - tool p1 p2 - part b1 b2 - bench ann bob - worker)
  (:init (at vice b1) (at saw b1) (at p1 b1) (at p2 b2) (by ann b1) (by bob b2))
  (:goal (or (joined p1 p2) (exists (?b - bench) (tidy ?b)) (held saw ann))))"""  # fmt: skip


class Oracle:
    """unified-planning's view of one problem."""

    def __init__(self, domain: Path, problem: Path) -> None:
        self.problem = PDDLReader().parse_problem(str(domain), str(problem))
        self._validator = SequentialPlanValidator()

    def accepts(self, plan: Sequence[Step]) -> bool:
        try:
            actions = []
            for name, *objects in plan:
                expressions = [
                    self.problem.environment.expression_manager.ObjectExp(self.problem.object(o)) for o in objects
                ]
                actions.append(ActionInstance(self.problem.action(name), tuple(expressions)))
        except (UPValueError, UPTypeError, AssertionError):  # no such action or object, or not for it
            return False
        result = self._validator.validate(self.problem, SequentialPlan(actions, self.problem.environment))
        assert result.status in (ValidationResultStatus.VALID, ValidationResultStatus.INVALID)
        return result.status is ValidationResultStatus.VALID


def accepts(task: Task, plan: Sequence[Step]) -> bool:
    try:
        return execute(task, plan).outcome is Outcome.VALID
    except PlanError:
        return False


def mutated(plan: Sequence[Step], task: Task, names: Sequence[str], rng: random.Random) -> list[Step]:
    """A plan with one to three random changes."""
    steps = list(plan)
    for _ in range(rng.randint(1, 3)):
        where = rng.randrange(len(steps)) if steps else 0
        random_step = lambda name: (name, *rng.choices(names, k=len(task.actions[name].parameters)))  # noqa: E731
        match rng.randrange(8):
            case 0:
                del steps[where : where + 1]
            case 1:
                steps = steps[:where]
            case 2:
                rng.shuffle(steps)
            case 3:
                steps.insert(where, steps[where] if steps else ("nothing",))
            case 4:
                steps.insert(where, random_step(rng.choice(sorted(task.actions))))
            case 5 if steps:
                changed = list(steps[where])
                changed[rng.randrange(1, len(changed))] = rng.choice(names)
                steps[where] = tuple(changed)
            case 6 if steps:
                steps[where] = (rng.choice([*sorted(task.actions), "fly"]), *steps[where][1:])
            case 7 if len(steps) > 1:
                other = rng.randrange(len(steps))
                steps[where], steps[other] = steps[other], steps[where]
    return steps


def compare(domain: Path, problem: Path, reference: Sequence[Step], rng: random.Random) -> Counter[bool]:
    """Compare the verdicts on the reference plan and its mutations; how many were valid and invalid."""
    task, oracle = load_task(domain, problem), Oracle(domain, problem)
    names = [*sorted(task.objects.of(("object",), "")), "nobody"]
    plans = [list(reference), *(mutated(reference, task, names, rng) for _ in range(PLANS_A_PROBLEM))]
    found: Counter[bool] = Counter()
    for plan in plans:
        verdict = accepts(task, plan)
        assert verdict == oracle.accepts(plan), plan
        found[verdict] += 1
    assert accepts(task, reference)
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_generated_problems_are_judged_alike(scenario, tmp_path):
    write_planning_problems(tmp_path, [scenario], count=2, seed=5)
    found: Counter[bool] = Counter()
    for problem in sorted((tmp_path / scenario).glob("*[0-9].pddl")):
        plan = read_plan_file(problem.with_suffix(".soln"))
        found += compare(tmp_path / scenario / "domain.pddl", problem, plan, random.Random(problem.stem))
    assert found.total() == 2 * (PLANS_A_PROBLEM + 1)
    assert found[False] > 2 * found[True]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_public_problems_are_judged_alike(scenario, shared_data):
    folder = shared_data / "pddl" / scenario
    problem = sorted((folder / "problems").glob("*.pddl"))[40]
    plan = read_plan_file(folder / "plans" / f"{problem.stem}.soln")
    compare(folder / "domain.pddl", problem, plan, random.Random(1))


def test_logic_beyond_the_scenarios_is_judged_alike_on_random_walks(pddl_files):
    domain, problem = pddl_files(WORKSHOP, WORKSHOP_PROBLEM)
    task, oracle = load_task(domain, problem), Oracle(domain, problem)
    rng = random.Random(0)
    found: Counter[bool] = Counter()
    for _ in range(120):
        plan: list[Step] = []
        for _ in range(rng.randint(1, 7)):
            step = random_applicable(task, plan, rng) if rng.random() < 0.95 else random_typed(task, rng)
            plan.append(step)
        verdict = accepts(task, plan)
        assert verdict == oracle.accepts(plan), plan
        found[verdict] += 1
    assert min(found[True], found[False]) >= 20


def random_typed(task: Task, rng: random.Random) -> Step:
    name = rng.choice(sorted(task.actions))
    return (name, *(rng.choice(sorted(accepted)) for accepted in task.actions[name].parameters))


def random_applicable(task: Task, plan: Sequence[Step], rng: random.Random) -> Step:
    """A step that the interpreter would carry out; that it is one is for the other side to confirm."""
    for _ in range(200):
        step = random_typed(task, rng)
        if execute(task, [*plan, step]).outcome is not Outcome.PRECONDITION_VIOLATED:
            return step
    return step


TOUR = """(define (domain tour) (:requirements :strips :typing :equality :negative-preconditions) (:types town)
  (:predicates (here ?a - town) (known ?a - town))
  (:action go :parameters (?a - town ?b - town) :precondition (and (here ?a) (not (= ?a ?b)))
    :effect (and (here ?b) (not (here ?a)) (known ?b))))"""
TOUR_PROBLEM = """(define (problem t) (:domain tour) (:objects rome bonn oslo - town) (:init (here rome) (known rome))
  (:goal (known rome)) (:constraints CONSTRAINT))"""


@pytest.mark.parametrize(
    "constraint",
    [
        "(always (not (here bonn)))",
        "(always (or (here rome) (not (known oslo)) (known bonn)))",
        "(sometime (here bonn))",
        "(at-most-once (here rome))",
        "(at-most-once (here bonn))",
        "(sometime-before (here bonn) (here oslo))",
        "(sometime-after (here bonn) (here oslo))",
        "(sometime-after (here rome) (here oslo))",
        "(and (sometime-before (here bonn) (here oslo)) (at-most-once (here oslo)) (sometime (here bonn)))",
        "(forall (?a - town) (sometime (here ?a)))",
    ],
)
def test_constraints_are_judged_as_by_compiling_them_away(pddl_files, constraint):
    domain, problem = pddl_files(TOUR, TOUR_PROBLEM.replace("CONSTRAINT", constraint))
    task = load_task(domain, problem)
    constrained = PDDLReader().parse_problem(str(domain), str(problem))
    compiled = (
        TrajectoryConstraintsRemover().compile(constrained, CompilationKind.TRAJECTORY_CONSTRAINTS_REMOVING).problem
    )
    names = {action.name for action in compiled.actions}
    found: Counter[bool] = Counter()
    for length in range(1, 6):
        for others in itertools.product((0, 1), repeat=length):
            towns = ["rome"]
            for other in others:
                towns.append([town for town in ("rome", "bonn", "oslo") if town != towns[-1]][other])
            plan = [("go", *pair) for pair in itertools.pairwise(towns)]
            steps = ["_".join(step) for step in plan]
            allowed = set(steps) <= names  # a step that always breaks the constraint is compiled away with it
            if allowed:
                actions = [ActionInstance(compiled.action(step)) for step in steps]
                result = SequentialPlanValidator().validate(compiled, SequentialPlan(actions, compiled.environment))
                allowed = result.status is ValidationResultStatus.VALID
            assert accepts(task, plan) == allowed, plan
            found[allowed] += 1
    assert min(found[True], found[False]) > 0
