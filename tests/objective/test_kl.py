# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""KL estimators against float64 NumPy, in value and in gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.objective.kl import MAX_EXPONENT, token_kl

VALUES = {
    "k1": lambda d: -d,
    "k2": lambda d: d**2 / 2,
    "k3": lambda d: np.exp(d) - d - 1,
}
SLOPES = {"k1": lambda d: np.ones_like(d), "k2": lambda d: -d, "k3": lambda d: 1 - np.exp(d)}
"""Derivatives by the policy's log-probability, where d = reference - policy."""


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_value_and_gradient_match_the_definition(estimator):
    rng = np.random.default_rng(0)
    policy = np.float32(-rng.exponential(size=(4, 7)))
    reference = np.float32(-rng.exponential(size=(4, 7)))
    d = reference.astype(np.float64) - policy
    value = token_kl(jnp.asarray(policy), jnp.asarray(reference), estimator)
    np.testing.assert_allclose(value, VALUES[estimator](d), rtol=1e-5, atol=1e-6)
    gradient = jax.grad(lambda p: token_kl(p, jnp.asarray(reference), estimator).sum())(jnp.asarray(policy))
    np.testing.assert_allclose(gradient, SLOPES[estimator](d), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_equal_logprobs_give_zero(estimator):
    logprobs = jnp.array([-0.5, -3.0])
    np.testing.assert_array_equal(token_kl(logprobs, logprobs, estimator), 0.0)


def test_expected_k1_and_k3_are_the_exact_divergence():
    policy = np.log([0.7, 0.2, 0.1])
    reference = np.log([0.3, 0.3, 0.4])
    exact = np.sum(np.exp(policy) * (policy - reference))
    for estimator in ("k1", "k3"):
        estimates = token_kl(jnp.float32(policy), jnp.float32(reference), estimator)
        assert np.sum(np.exp(policy) * np.asarray(estimates)) == pytest.approx(exact, rel=1e-5)


def test_k3_stays_finite_increasing_and_pulling_back_far_from_the_reference():
    policy = jnp.array([-10.0, -MAX_EXPONENT, -25.0, -90.0, -500.0])
    reference = jnp.zeros(5)
    value = token_kl(policy, reference, "k3")
    gradient = jax.grad(lambda p: token_kl(p, reference, "k3").sum())(policy)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()
    assert (np.diff(value) > 0).all()
    assert (np.asarray(gradient) < 0).all()
    # Continuous in value and slope where the tangent begins.
    np.testing.assert_allclose(gradient[1], 1 - np.exp(MAX_EXPONENT), rtol=1e-5)


def test_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="k4"):
        token_kl(jnp.zeros(1), jnp.zeros(1), "k4")  # pyright: ignore[reportArgumentType]
