# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A grid world in text: walk from S to G around walls, a move a turn, seeing the grid after each.

S . #
. . .        # is a wall, @ the walker, G the goal; the world's edge stops like a wall
# . G
"""

import json
import random
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grpo_jax.records import Problem, RewardStatus, RolloutEnd
from grpo_jax.rollout.trajectory import Generate, LimitError, Outcome, Turn

Cell = tuple[int, int]
MOVES: Mapping[str, Cell] = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
_WORD = re.compile(r"\b(" + "|".join(MOVES) + r")\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grid:
    """A world; cells are (row, column) from the top left."""

    size: int
    walls: frozenset[Cell]
    start: Cell
    goal: Cell

    def step(self, cell: Cell, move: str) -> Cell:
        """Where a move leads; walls and the edge leave it where it is."""
        row, column = cell[0] + MOVES[move][0], cell[1] + MOVES[move][1]
        free = 0 <= row < self.size and 0 <= column < self.size and (row, column) not in self.walls
        return (row, column) if free else cell

    def distances(self) -> dict[Cell, int]:
        """Moves to the goal from every cell that leads there."""
        found, frontier = {self.goal: 0}, deque([self.goal])
        while frontier:
            cell = frontier.popleft()
            for move in MOVES:
                # Moves can be taken back, so what can be reached from the goal can reach it.
                beside = self.step(cell, move)
                if beside not in found:
                    found[beside] = found[cell] + 1
                    frontier.append(beside)
        return found

    def show(self, walker: Cell) -> str:
        """The world as lines of characters."""

        def mark(cell: Cell) -> str:
            if cell == walker:
                return "@"
            return "G" if cell == self.goal else "#" if cell in self.walls else "."

        return "\n".join(" ".join(mark((row, column)) for column in range(self.size)) for row in range(self.size))


def draw_grid(key: str, size: int, walls: int) -> Grid:
    """A world in which the goal can be reached, the same for the same key.

    Raises:
        ValueError: There is no room for walls, start and goal.
    """
    if size < 2 or not 0 <= walls <= size * size - 2:
        raise ValueError(f"a grid of {size} x {size} has no room for {walls} walls, start and goal")
    draw = random.Random(f"grid/{size}/{walls}/{key}")
    cells = [(row, column) for row in range(size) for column in range(size)]
    for number in range(walls, -1, -1):  # fewer, where so many leave no way
        for _ in range(100):
            start, goal, *blocked = draw.sample(cells, number + 2)
            grid = Grid(size, frozenset(blocked), start, goal)
            if start in grid.distances():
                return grid
    raise ValueError("no grid has a way")


async def grid_world(
    problem: Problem,
    generate: Generate,
    *,
    size: int = 5,
    walls: int = 5,
    moves: int | None = None,
    progress_reward: float = 0.0,
    unreadable: str = "Reply with up, down, left or right.",
) -> Outcome:
    """Walk one world; the problem's prompt explains it, the first view is put behind the prompt.

    Args:
        problem: Its ground truth may be the world, {"size", "walls": [[row, column], ...], "start", "goal"}, also as
            JSON text; otherwise a world is drawn from its id.
        generate: The handle on the sampler.
        size: Rows and columns of a drawn world.
        walls: Walls of a drawn world.
        moves: Turns allowed; None is `rollout.max_turns`.
        progress_reward: What each move towards the goal earns by itself, and each away from it costs.
        unreadable: Said of a reply without a move, which stays where it is.

    Returns:
        A reward of 1 where the goal was reached, else 0; `parts` tell the moves and how many the shortest way takes.
    """
    grid = _given(problem.ground_truth) or draw_grid(problem.id, size, walls)
    distances = grid.distances()
    walker, earned, turn = grid.start, [], None
    last = problem.messages[-1]
    said: list[dict[str, str]] = [*map(dict, problem.messages)]
    said[-1]["content"] = f"{last['content']}\n\n{grid.show(walker)}"
    end = RolloutEnd.DONE
    while walker != grid.goal and len(earned) < (moves or generate.max_turns):
        try:
            turn = await generate(said, after=turn)
        except LimitError as limit:
            if turn is None:
                raise
            end = limit.end
            break
        found = _WORD.findall(turn.text)
        before = walker
        if found:
            walker = grid.step(walker, found[-1].lower())
        earned.append(progress_reward * (distances[before] - distances[walker]))
        said = [{"role": "user", "content": grid.show(walker) if found else f"{unreadable}\n\n{grid.show(walker)}"}]
    return _outcome(turn, walker == grid.goal, earned, distances[grid.start], end)


def _outcome(turn: Turn | None, reached: bool, earned: list[float], shortest: int, end: RolloutEnd) -> Outcome:
    if turn is None:
        raise ValueError("the world's start is its goal")
    return Outcome(
        turn,
        reward=float(reached),
        turn_rewards=earned,
        parts={"reached": float(reached), "moves": float(len(earned)), "shortest": float(shortest)},
        status=RewardStatus.PASS if reached else RewardStatus.FAIL,
        end=end,
    )


def _given(truth: Any) -> Grid | None:
    """The world that a ground truth describes, if it does."""
    if isinstance(truth, str) and truth.lstrip().startswith("{"):
        truth = json.loads(truth)
    if not isinstance(truth, Mapping):
        return None
    walls = frozenset((int(row), int(column)) for row, column in truth.get("walls", ()))
    start, goal = ((int(truth[name][0]), int(truth[name][1])) for name in ("start", "goal"))
    grid = Grid(int(truth["size"]), walls, start, goal)
    if grid.start not in grid.distances():
        raise ValueError("the world's goal cannot be reached")
    return grid
