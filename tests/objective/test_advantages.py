# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Advantages against tables worked by hand, with invalid members and groups without variance."""

import numpy as np
import pytest

from grpo_jax.objective.advantages import group_advantages, zero_variance_groups

METHODS = ("group_std", "group_mean", "leave_one_out")
NAN = float("nan")
ROOT_THIRD = (1 / 3) ** 0.5


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # Rewards 1 0 0 1: mean 1/2, squared deviations sum to 1, so the variance is 1/3 with ddof 1.
        ("group_std", [0.5 / (ROOT_THIRD + 1e-4), -0.5 / (ROOT_THIRD + 1e-4)]),
        ("group_mean", [0.5, -0.5]),
        # A 1 meets others of mean 1/3, a 0 meets others of mean 2/3.
        ("leave_one_out", [2 / 3, -2 / 3]),
    ],
)
def test_half_right_group_matches_hand_worked_values(method, expected):
    rewards = np.array([[1.0, 0.0, 0.0, 1.0]])
    advantages, active = group_advantages(rewards, np.ones((1, 4), bool), method)
    high, low = expected
    np.testing.assert_allclose(advantages, [[high, low, low, high]], rtol=1e-6)
    assert advantages.dtype == np.float32
    assert active.all()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # Valid 3 and 1: mean 2, variance 2 with ddof 1.
        ("group_std", [1 / (2**0.5 + 1e-4), 0, -1 / (2**0.5 + 1e-4)]),
        ("group_mean", [1, 0, -1]),
        ("leave_one_out", [2, 0, -2]),
    ],
)
def test_invalid_member_takes_no_part_in_statistics_and_gets_zero(method, expected):
    valid = np.array([[True, False, True]])
    for unseen in (NAN, 0.0, 1e9):
        advantages, active = group_advantages(np.array([[3.0, unseen, 1.0]]), valid, method)
        np.testing.assert_allclose(advantages, [expected], rtol=1e-6)
        np.testing.assert_array_equal(active, valid)


def test_ddof_zero_divides_by_the_number_of_members():
    advantages, _ = group_advantages(np.array([[2.0, 0.0]]), np.ones((1, 2), bool), "group_std", epsilon=0.5, ddof=0)
    np.testing.assert_allclose(advantages, [[1 / 1.5, -1 / 1.5]], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_groups_without_comparison_are_inactive_and_zero(method):
    rewards = np.array([[0.1, 0.1, 0.1], [1.0, 1.0, NAN], [5.0, NAN, NAN], [NAN, NAN, NAN], [0.0, 1.0, NAN]])
    valid = np.isfinite(rewards)
    advantages, active = group_advantages(rewards, valid, method)
    np.testing.assert_array_equal(advantages[:4], 0.0)
    np.testing.assert_array_equal(active[:4], False)
    np.testing.assert_array_equal(active[4], [True, True, False])
    np.testing.assert_array_equal(zero_variance_groups(rewards, valid), [True, True, False, False, False])


@pytest.mark.parametrize("method", METHODS)
def test_smallest_difference_of_rewards_is_active(method):
    rewards = np.array([[1.0, np.nextafter(1.0, 2.0)]])
    _, active = group_advantages(rewards, np.ones((1, 2), bool), method)
    assert active.all()


@pytest.mark.parametrize("method", METHODS)
def test_advantages_of_a_group_sum_to_zero_and_follow_member_order(method):
    rng = np.random.default_rng(0)
    rewards, valid = rng.normal(size=(50, 8)), rng.random((50, 8)) < 0.7
    advantages, active = group_advantages(rewards, valid, method)
    np.testing.assert_allclose(advantages.sum(axis=1), 0.0, atol=1e-5)
    assert np.isfinite(advantages).all()
    order = rng.permutation(8)
    permuted, _ = group_advantages(rewards[:, order], valid[:, order], method)
    np.testing.assert_allclose(permuted, advantages[:, order], atol=1e-6)
    assert not (advantages[~active]).any()


def test_random_groups_match_a_loop_over_members():
    rng = np.random.default_rng(1)
    rewards, valid = rng.normal(size=(20, 6)), rng.random((20, 6)) < 0.6
    for method in METHODS:
        advantages, _ = group_advantages(rewards, valid, method, epsilon=1e-6)
        for p in range(20):
            members = [g for g in range(6) if valid[p, g]]
            for g in range(6):
                if g not in members or len(members) < 2:
                    assert advantages[p, g] == 0
                    continue
                mean = np.mean([rewards[p, m] for m in members])
                others = np.mean([rewards[p, m] for m in members if m != g])
                std = np.std([rewards[p, m] for m in members], ddof=1)
                expected = {
                    "group_std": (rewards[p, g] - mean) / (std + 1e-6),
                    "group_mean": rewards[p, g] - mean,
                    "leave_one_out": rewards[p, g] - others,
                }[method]
                assert advantages[p, g] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_mistakes_are_refused():
    valid = np.ones((1, 2), bool)
    with pytest.raises(ValueError, match="prompt 0, completion 1 is inf"):
        group_advantages(np.array([[0.0, np.inf]]), valid, "group_mean")
    with pytest.raises(ValueError, match="completion 0 is nan"):
        group_advantages(np.array([[NAN, 1.0]]), valid, "group_mean")
    with pytest.raises(ValueError, match="unknown"):
        group_advantages(np.array([[0.0, 1.0]]), valid, "group_max")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="ddof"):
        group_advantages(np.array([[0.0, 1.0]]), valid, "group_std", ddof=2)
    with pytest.raises(ValueError, match="must both be"):
        group_advantages(np.zeros((2, 2)), valid, "group_std")
