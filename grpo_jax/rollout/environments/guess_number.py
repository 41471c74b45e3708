# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The number-guessing game: the policy guesses, the game answers higher or lower, as few guesses as possible."""

import re

from grpo_jax.records import Problem, RewardStatus, RolloutEnd
from grpo_jax.rollout.trajectory import Generate, LimitError, Outcome, Turn

_NUMBER = re.compile(r"(?<!\d)\d{1,9}(?!\d)")


async def guess_number(
    problem: Problem,
    generate: Generate,
    *,
    low: int = 1,
    high: int = 64,
    guesses: int = 6,
    consistent_reward: float = 0.0,
    higher: str = "higher",
    lower: str = "lower",
    unreadable: str = "Reply with a number.",
) -> Outcome:
    """Play one game; the problem's ground truth is the secret number, its prompt explains the game.

    A halving search finds a number from 1 to 64 in at most 7 guesses, in 6 it finds 63 of them.

    Args:
        problem: With the secret as its ground truth, a number or its digits.
        generate: The handle on the sampler.
        low: Smallest number.
        high: Largest number.
        guesses: Allowed ones, unreadable replies among them.
        consistent_reward: What a guess that all earlier answers allow earns by itself.
        higher: The game's answer to a guess below the secret.
        lower: To one above it.
        unreadable: To a reply without a number.

    Returns:
        A reward of 1 where the secret was found, else 0; `parts` tell the number of guesses.
    """
    secret = int(str(problem.ground_truth).strip())
    turn: Turn | None = None
    said: str | None = None
    earned: list[float] = []
    solved = False
    while not solved and len(earned) < guesses:
        messages = problem.messages if said is None else [{"role": "user", "content": said}]
        try:
            turn = await generate(messages, after=turn)
        except LimitError as limit:
            if turn is None:
                raise
            return _outcome(turn, solved, earned, limit.end)
        found = _NUMBER.findall(turn.text)
        guess = int(found[-1]) if found else None
        earned.append(consistent_reward if guess is not None and low <= guess <= high else 0.0)
        if guess is None:
            said = unreadable
            continue
        solved = guess == secret
        if guess < secret:
            said, low = higher, max(low, guess + 1)
        else:
            said, high = lower, min(high, guess - 1)
    assert turn is not None
    return _outcome(turn, solved, earned)


def _outcome(turn: Turn, solved: bool, earned: list[float], end: RolloutEnd = RolloutEnd.DONE) -> Outcome:
    return Outcome(
        turn,
        reward=float(solved),
        turn_rewards=earned,
        parts={"solved": float(solved), "guesses": float(len(earned))},
        status=RewardStatus.PASS if solved else RewardStatus.FAIL,
        end=end,
    )
