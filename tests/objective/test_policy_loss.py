# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The clipped objective against the textbook maximum in float64, its gradient against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.objective.policy_loss import MAX_LOG_RATIO, clipped_token_loss

LOW, HIGH = 0.2, 0.3


def textbook(policy, old, advantages):
    ratio = np.exp(np.float64(policy) - np.float64(old))
    return np.maximum(-advantages * ratio, -advantages * np.clip(ratio, 1 - LOW, 1 + HIGH))


def sample_batch():
    rng = np.random.default_rng(0)
    policy = -rng.exponential(size=(6, 9)).astype(np.float32)
    old = policy + rng.normal(scale=0.4, size=(6, 9)).astype(np.float32)
    advantages = rng.normal(size=(6, 1)).astype(np.float32)
    advantages[0] = 0
    return policy, old, advantages


def test_loss_equals_the_textbook_maximum():
    policy, old, advantages = sample_batch()
    result = clipped_token_loss(jnp.asarray(policy), jnp.asarray(old), jnp.asarray(advantages), LOW, HIGH)
    np.testing.assert_allclose(result.loss, textbook(policy, old, advantages), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.ratio, np.exp(policy - old), rtol=1e-5)


def test_gradient_equals_finite_differences_and_vanishes_where_clipped():
    policy, old, advantages = sample_batch()
    gradient = jax.grad(
        lambda p: clipped_token_loss(p, jnp.asarray(old), jnp.asarray(advantages), LOW, HIGH).loss.sum()
    )(jnp.asarray(policy))
    step = 1e-6
    wide = policy.astype(np.float64)
    expected = (textbook(wide + step, old, advantages) - textbook(wide - step, old, advantages)) / (2 * step)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
    result = clipped_token_loss(jnp.asarray(policy), jnp.asarray(old), jnp.asarray(advantages), LOW, HIGH)
    clipped = np.asarray(result.clipped_low | result.clipped_high)
    assert clipped.any()
    assert not np.asarray(gradient)[clipped].any()


def test_masks_name_the_side_and_need_the_matching_sign():
    ratios = jnp.array([0.5, 1.0, 2.0])
    for sign, low, high in (
        (1.0, [False, False, False], [False, False, True]),
        (-1.0, [True, False, False], [False, False, False]),
        (0.0, [False, False, False], [False, False, False]),
    ):
        result = clipped_token_loss(jnp.log(ratios), jnp.zeros(3), jnp.full(3, sign), LOW, HIGH)
        np.testing.assert_array_equal(result.clipped_low, low)
        np.testing.assert_array_equal(result.clipped_high, high)


def test_on_policy_gradient_is_the_advantage_even_with_bounds_at_one():
    logprobs, advantages = jnp.array([-1.0, -2.0]), jnp.array([0.7, -0.4])
    for low, high in ((0.2, 0.2), (0.0, 0.0)):
        gradient = jax.grad(
            lambda p, low=low, high=high: clipped_token_loss(
                p, jax.lax.stop_gradient(p), advantages, low, high
            ).loss.sum()
        )(logprobs)
        np.testing.assert_allclose(gradient, -advantages, rtol=1e-6)


def test_extreme_log_ratios_stay_finite():
    old = jnp.array([-400.0, -400.0, 0.0, 0.0])
    policy = jnp.array([0.0, 0.0, -400.0, -400.0])
    advantages = jnp.array([1.0, -1.0, 1.0, -1.0])
    result = clipped_token_loss(policy, old, advantages, LOW, HIGH)
    gradient = jax.grad(lambda p: clipped_token_loss(p, old, advantages, LOW, HIGH).loss.sum())(policy)
    np.testing.assert_allclose(result.loss, [-(1 + HIGH), np.exp(MAX_LOG_RATIO), 0.0, 1 - LOW], rtol=1e-5, atol=1e-30)
    assert np.isfinite(gradient).all()
