# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A planning problem small enough to work by hand: two balls to bring one room on, a third that is in its place."""

from pathlib import Path

from grpo_jax.records import Problem

CORRIDOR = """(define (domain corridor)
  (:types room ball)
  (:predicates (here ?r - room) (next ?a ?b - room) (at ?o - ball ?r - room) (held ?o - ball))
  (:action go :parameters (?a ?b - room) :precondition (and (here ?a) (next ?a ?b))
    :effect (and (here ?b) (not (here ?a))))
  (:action grab :parameters (?o - ball ?r - room) :precondition (and (here ?r) (at ?o ?r))
    :effect (and (held ?o) (not (at ?o ?r))))
  (:action put :parameters (?o - ball ?r - room) :precondition (and (here ?r) (held ?o))
    :effect (and (at ?o ?r) (not (held ?o)))))"""
TWO_BALLS = """(define (problem two) (:domain corridor)
  (:objects r1 r2 r3 - room x y z - ball)
  (:init (here r1) (next r1 r2) (next r2 r1) (next r2 r3) (next r3 r2) (at x r1) (at y r2) (at z r3))
  (:goal (and (at x r2) (at y r3) (at z r3))) CONSTRAINTS)"""
SOLUTION = ["(grab x r1)", "(go r1 r2)", "(put x r2)", "(grab y r2)", "(go r2 r3)", "(put y r3)"]
"""The reference plan."""
CIRCLES = [("(go r1 r2)", "(go r2 r1)"), ("(go r2 r3)", "(go r3 r2)"), ("(grab z r3)", "(put z r3)")]
"""Pairs of steps of which the second takes the first back."""
STEPS = [
    *(step for pair in CIRCLES[:2] for step in pair),
    *(f"({verb} {ball} r{room})" for verb in ("grab", "put") for ball in "xyz" for room in (1, 2, 3)),
]
"""All steps."""


def write_corridor(folder: Path, constraints: str = "", reference: bool = True) -> Problem:
    """Write the PDDL files, with the reference plan beside them or not, and return the problem that names them."""
    folder.mkdir()
    text = f"(:constraints {constraints})" if constraints else ""
    (folder / "domain.pddl").write_text(CORRIDOR, encoding="utf-8")
    (folder / "two.pddl").write_text(TWO_BALLS.replace("CONSTRAINTS", text), encoding="utf-8")
    if reference:
        (folder / "two.soln").write_text("\n".join(SOLUTION), encoding="utf-8")
    files = {"domain_file": str(folder / "domain.pddl"), "problem_file": str(folder / "two.pddl"), "plan_file": None}
    return Problem("p", "corridor", (), {**files, "scenario": "corridor"})
