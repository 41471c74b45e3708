# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where the clipped losses have a gradient, and what they say of it; their values are in test_golden.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.objective.policy_loss import (
    MAX_LOG_RATIO,
    MAX_SEQUENCE_LOG_RATIO,
    cispo_token_loss,
    clipped_token_loss,
    probability_ratio,
)

LOW, HIGH = 0.2, 0.3


def clipped(policy, old, advantages, low=LOW, high=HIGH, level="token", dual_clip=None):
    ratio = probability_ratio(policy, old, jnp.ones_like(policy, bool), level)
    return clipped_token_loss(ratio, advantages, low, high, dual_clip)


def test_gradient_vanishes_exactly_where_clipped():
    rng = np.random.default_rng(0)
    policy = jnp.asarray(-rng.exponential(size=(6, 9)), jnp.float32)
    old = policy + jnp.asarray(rng.normal(scale=0.4, size=(6, 9)), jnp.float32)
    advantages = jnp.asarray(rng.normal(size=(6, 1)), jnp.float32)
    gradient = jax.grad(lambda p: clipped(p, old, advantages, dual_clip=1.5).loss.sum())(policy)
    result = clipped(policy, old, advantages, dual_clip=1.5)
    without = np.asarray(result.clipped_low | result.clipped_high)
    assert 3 < without.sum() < without.size - 3
    np.testing.assert_array_equal(np.asarray(gradient) == 0, without)


def test_masks_name_the_side_and_need_the_matching_sign():
    ratios = jnp.array([0.5, 1.0, 2.0])
    for sign, low, high in (
        (1.0, [False, False, False], [False, False, True]),
        (-1.0, [True, False, False], [False, False, False]),
        (0.0, [False, False, False], [False, False, False]),
    ):
        result = clipped(jnp.log(ratios), jnp.zeros(3), jnp.full(3, sign))
        np.testing.assert_array_equal(result.clipped_low, low)
        np.testing.assert_array_equal(result.clipped_high, high)
    result = cispo_token_loss(jnp.log(ratios), ratios, jnp.ones(3), LOW, HIGH)
    np.testing.assert_array_equal(result.clipped_low, [True, False, False])
    np.testing.assert_array_equal(result.clipped_high, [False, False, True])


@pytest.mark.parametrize("level", ["token", "sequence_token"])
@pytest.mark.parametrize(("low", "high"), [(0.2, 0.2), (0.0, 0.0)])
def test_on_policy_gradient_is_the_advantage_even_with_bounds_at_one(level, low, high):
    logprobs, advantages = jnp.array([-1.0, -2.0]), jnp.array([0.7, -0.4])
    gradient = jax.grad(lambda p: clipped(p, jax.lax.stop_gradient(p), advantages, low, high, level=level).loss.sum())(
        logprobs
    )
    np.testing.assert_allclose(gradient, -advantages, rtol=1e-6)


def test_extreme_log_ratios_stay_finite():
    old = jnp.array([-400.0, -400.0, 0.0, 0.0])
    policy = jnp.array([0.0, 0.0, -400.0, -400.0])
    advantages = jnp.array([1.0, -1.0, 1.0, -1.0])
    result = clipped(policy, old, advantages)
    gradient = jax.grad(lambda p: clipped(p, old, advantages).loss.sum())(policy)
    np.testing.assert_allclose(result.loss, [-(1 + HIGH), np.exp(MAX_LOG_RATIO), 0.0, 1 - LOW], rtol=1e-5, atol=1e-30)
    assert np.isfinite(gradient).all()
    sequence = probability_ratio(policy[:2], old[:2], jnp.ones(2, bool), "sequence")
    np.testing.assert_allclose(sequence, np.exp(MAX_SEQUENCE_LOG_RATIO), rtol=1e-5)


@pytest.mark.parametrize("level", ["sequence", "sequence_token"])
def test_padding_takes_no_part_in_a_sequences_ratio(level):
    policy, old = jnp.array([[-1.0, -2.0, 50.0]]), jnp.array([[-1.2, -1.9, -50.0]])
    mask = jnp.array([[True, True, False]])
    ratio = probability_ratio(policy, old, mask, level)
    np.testing.assert_allclose(ratio[0, :2], np.exp(0.05), rtol=1e-6)
    empty = probability_ratio(policy, old, jnp.zeros_like(mask), level)
    np.testing.assert_array_equal(empty, 1.0)
