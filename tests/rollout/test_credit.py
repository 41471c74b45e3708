# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Credit over turns: against NumPy's own figures, and the same as ever where there is one turn."""

from dataclasses import replace

import numpy as np
import pytest

from grpo_jax.config import Domain, ObjectiveConfig, RunConfig
from grpo_jax.objective.presets import resolve
from grpo_jax.records import ConfigError, Rollout, RolloutGroup
from grpo_jax.rollout.credit import check_credit, turn_returns
from grpo_jax.rollout.group_filter import judge
from grpo_jax.rollout_config import RolloutConfig
from tests.fakes.groups import make_completion, make_prompt, make_reward

DOMAINS = {"plain": Domain()}


def config_of(credit, discount=1.0, **objective):
    return RunConfig(
        domains=DOMAINS,
        rollout=RolloutConfig(credit=credit, discount=discount),
        objective=ObjectiveConfig(**objective),
    )


def trajectory(turns, total, turn_rewards):
    completion = replace(make_completion(range(len(turns))), turns=np.array(turns, np.int32))
    return Rollout(completion, "", make_reward(total), 0, tuple(turn_rewards))


GROUP = RolloutGroup(
    make_prompt([1]),
    (
        trajectory([0, 0, -1, 1], 1.5, [0.5, 0.0]),
        trajectory([0, -1, -1, 1, -1, 2, 2], 0.25, [0.0, 0.25]),
        trajectory([0, 0, 0], 0.0, []),
        trajectory([0, -1, 1], None, [1.0]),
    ),
)


def judged(credit, discount=1.0, **objective):
    config = config_of(credit, discount, **objective)
    return judge([GROUP], config, resolve(config.objective, config.domains))


@pytest.mark.parametrize(
    ("credit", "discount", "returns"),
    [
        ("turn", 1.0, [[1.5, 1.0], [0.0, 0.25, 0.0], [0.0]]),
        ("discounted", 1.0, [[1.5, 1.0], [0.25, 0.25, 0.0], [0.0]]),
        ("discounted", 0.5, [[0.5 + 0.5, 1.0], [0.125, 0.25, 0.0], [0.0]]),
    ],
)
def test_every_token_has_its_turns_return_compared_over_the_group(credit, discount, returns):
    found = judged(credit, discount, advantage="group_std", advantage_ddof=1, advantage_epsilon=1e-4)
    every = np.concatenate([np.array(own) for own in returns])
    scaled = [(np.array(own) - every.mean()) / (every.std(ddof=1) + 1e-4) for own in returns]
    for member, own in enumerate(scaled):
        turns = GROUP.rollouts[member].completion.turns
        wanted = np.where(turns >= 0, own[np.maximum(turns, 0)], 0.0)
        np.testing.assert_allclose(found.token_advantages[0, member, : len(turns)], wanted, rtol=1e-6)
        np.testing.assert_allclose(found.advantages[0, member], wanted[turns >= 0].mean(), rtol=1e-6)
    assert not found.token_advantages[0, 3].any()
    assert found.trained.tolist() == [[True, True, True, False]]


@pytest.mark.parametrize(
    ("credit", "discount", "returns"),
    [
        ("turn", 1.0, [[0.5 + 1.0, None, 1.0, None], [1.0]]),
        ("discounted", 0.5, [[0.5 + 0.5 * 0.25 + 0.125 * 1.25, None, 0.5 * 1.25, None], [1.0]]),
    ],
)
def test_turns_that_are_not_trained_earn_and_take_time_and_are_not_compared(credit, discount, returns):
    group = RolloutGroup(
        make_prompt([1]),
        # Four turns of which the second and the last are not trained; the outcome is 1.
        (trajectory([0, 0, -1, -1, 2, 2, -1], 2.0, [0.5, 0.25, 0.0, 0.25]), trajectory([0, 0], 1.0, [0.0])),
    )
    config = config_of(credit, discount, advantage="group_mean")
    found = judge([group], config, resolve(config.objective, config.domains))
    every = np.array([value for own in returns for value in own if value is not None])
    for member, own in enumerate(returns):
        turns = group.rollouts[member].completion.turns
        wanted = [0.0 if turn < 0 else own[turn] - every.mean() for turn in turns]
        np.testing.assert_allclose(found.token_advantages[0, member, : len(turns)], wanted, rtol=1e-6)


def test_a_group_that_differs_in_untrained_turns_alone_has_no_variance():
    group = RolloutGroup(make_prompt([1]), (trajectory([0, -1], 1.0, [1.0, 0.0]), trajectory([0, -1], 1.5, [1.0, 0.5])))
    config = config_of("turn")
    assert judge([group], config, resolve(config.objective, DOMAINS)).zero_variance.tolist() == [True]


def test_credit_at_the_end_compares_totals():
    found = judged("end", advantage="group_mean")
    np.testing.assert_allclose(found.advantages[0], np.array([1.5, 0.25, 0.0, 1.75 / 3]) - 1.75 / 3, atol=1e-7)
    assert found.token_advantages is None


@pytest.mark.parametrize("credit", ["turn", "discounted"])
@pytest.mark.parametrize("advantage", ["group_std", "group_mean", "batch_std", "leave_one_out", "reward"])
def test_single_turns_have_the_advantages_that_they_always_had(credit, advantage):
    single = [
        RolloutGroup(make_prompt([1]), tuple(trajectory([0] * n, total, []) for n, total in own))
        for own in ([(2, 1.0), (3, 0.5), (1, None)], [(1, 0.0), (2, 0.0), (3, 2.0)])
    ]
    ended, credited = (
        judge(single, config, resolve(config.objective, config.domains))
        for config in (config_of("end", advantage=advantage), config_of(credit, 0.9, advantage=advantage))
    )
    np.testing.assert_allclose(credited.advantages, ended.advantages, rtol=1e-6)
    assert credited.zero_variance.tolist() == ended.zero_variance.tolist()


def test_equal_totals_earned_in_different_turns_are_a_signal_by_turn_and_none_at_the_end():
    group = RolloutGroup(make_prompt([1]), (trajectory([0, 1], 1.0, [1.0]), trajectory([0, 1], 1.0, [0.0, 1.0])))
    for credit, equal in (("end", True), ("discounted", False)):
        config = config_of(credit)
        assert judge([group], config, resolve(config.objective, DOMAINS)).zero_variance.tolist() == [equal]


def test_returns_of_turns_add_the_outcome_once():
    settings = RolloutConfig(credit="discounted", discount=0.9)
    found = turn_returns([1.0, 2.0], 6.0, 3, settings)  # an outcome of 3 with the last turn
    np.testing.assert_allclose(found, [1 + 0.9 * 2 + 0.81 * 3, 2 + 0.9 * 3, 3])


@pytest.mark.parametrize("advantage", ["part_std", "whitened"])
def test_advantages_that_compare_no_returns_are_refused(advantage):
    config = config_of("turn", advantage=advantage)
    with pytest.raises(ConfigError, match=f"objective.advantage={advantage}"):
        check_credit(config.rollout, resolve(config.objective, DOMAINS))
