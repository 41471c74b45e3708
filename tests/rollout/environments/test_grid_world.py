# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The grid world: walls hold, a shortest way wins, and worlds repeat."""

import pytest

from grpo_jax.records import Problem
from grpo_jax.rollout.environments.grid_world import MOVES, draw_grid, grid_world
from tests.fakes.scripted_turns import ScriptedTurns, outcome_of

WORLD = {"size": 3, "walls": [[0, 1], [1, 1]], "start": [0, 0], "goal": [0, 2]}


def walk(answers, truth=WORLD, problem_id="p", **settings):
    generate = ScriptedTurns(answers)
    problem = Problem(problem_id, "grid", ({"role": "user", "content": "Walk."},), truth)
    return outcome_of(grid_world(problem, generate, **settings)), generate


def test_the_way_around_the_wall_reaches_the_goal():
    way = ["down", "Down!", "I go right", "right", "up", "up"]
    outcome, generate = walk(way, progress_reward=0.1)
    assert outcome.reward == 1.0
    assert outcome.parts == {"reached": 1.0, "moves": 6.0, "shortest": 6.0}
    assert list(outcome.turn_rewards) == pytest.approx([0.1] * 6)
    assert generate.said[0][0]["content"] == "Walk.\n\n@ # G\n. # .\n. . ."
    assert generate.said[1][0]["content"] == ". # G\n@ # .\n. . ."


def test_walls_and_edges_stop_and_steps_back_cost():
    outcome, _ = walk(["right", "up", "down", "up"], moves=4, progress_reward=0.5)
    assert outcome.reward == 0.0
    assert list(outcome.turn_rewards) == [0.0, 0.0, 0.5, -0.5]


def test_a_reply_without_a_move_is_told_so():
    _, generate = walk(["hm", "down"], moves=2)
    assert generate.said[1][0]["content"].startswith("Reply with up, down, left or right.")


def test_drawn_worlds_repeat_by_name_and_can_be_walked():
    for number in range(50):
        grid = draw_grid(f"key-{number}", 5, 8)
        assert grid == draw_grid(f"key-{number}", 5, 8)
        assert grid.start not in grid.walls
        distances = grid.distances()
        cell, steps = grid.start, 0
        while cell != grid.goal:
            cell = min((grid.step(cell, move) for move in MOVES), key=lambda own: distances[own])
            steps += 1
        assert steps == distances[grid.start]
    assert len({draw_grid(f"key-{number}", 5, 8).show((9, 9)) for number in range(50)}) > 40


def test_a_world_that_cannot_be_won_is_refused():
    with pytest.raises(ValueError, match="cannot be reached"):
        walk([], {**WORLD, "walls": [[0, 1], [1, 1], [2, 1]]})
    with pytest.raises(ValueError, match="no room"):
        draw_grid("x", 2, 3)
