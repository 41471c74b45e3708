# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The guessing game: its rules, and that a halving search wins it."""

import pytest

from grpo_jax.records import Problem, RewardStatus, RolloutEnd
from grpo_jax.rollout.environments.guess_number import guess_number
from tests.fakes.scripted_turns import ScriptedTurns, outcome_of


def play(secret, answers, **settings):
    generate = ScriptedTurns(answers, settings.pop("max_turns", 50))
    problem = Problem("p", "game", ({"role": "user", "content": "guess"},), str(secret))
    return outcome_of(guess_number(problem, generate, **settings)), generate


class Halving:
    def __init__(self):
        self.low, self.high = 1, 64

    def __call__(self, said):
        if said == "higher":
            self.low = self.guess + 1
        elif said == "lower":
            self.high = self.guess - 1
        self.guess = (self.low + self.high) // 2
        return f"My guess is {self.guess}."


def test_a_halving_search_finds_every_number_in_seven_guesses_and_all_but_one_in_six():
    for guesses, found in ((7, 64), (6, 63)):
        outcomes = [play(secret, Halving(), guesses=guesses)[0] for secret in range(1, 65)]
        assert sum(outcome.reward for outcome in outcomes) == found
        assert all((outcome.status is RewardStatus.PASS) == bool(outcome.reward) for outcome in outcomes)


def test_the_game_answers_higher_and_lower_until_the_number_is_found():
    outcome, generate = play(20, ["50", "10", "20"])
    assert [said[-1]["content"] for said in generate.said] == ["guess", "lower", "higher"]
    assert outcome.parts == {"solved": 1.0, "guesses": 3.0}
    assert len(outcome.turn.path()) == 3


def test_only_guesses_that_the_answers_allow_earn_by_themselves():
    outcome, _ = play(20, ["50", "60", "10", "what", "5", "20"], consistent_reward=0.1)
    assert list(outcome.turn_rewards) == [0.1, 0.0, 0.1, 0.0, 0.0, 0.1]


def test_a_limit_ends_the_game_unsolved():
    outcome, _ = play(20, ["50", "60", "70"], max_turns=2)
    assert (outcome.end, outcome.reward) == (RolloutEnd.TURN_LIMIT, 0.0)
    outcome, _ = play(20, ["50", "60", "70"], guesses=3)
    assert (outcome.end, outcome.reward) == (RolloutEnd.DONE, 0.0)


@pytest.mark.parametrize("text", ["99999999999999999999", "none"])
def test_an_unreadable_guess_costs_a_turn(text):
    outcome, generate = play(20, [text, "20"])
    assert generate.said[1][-1]["content"] == "Reply with a number."
    assert outcome.reward == 1.0
