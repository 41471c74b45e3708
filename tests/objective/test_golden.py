# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Every definition of the family, value and gradient, against NumPy in float64 with central differences.

The NumPy side is written from the papers' and peers' formulas alone and shares no code with the package. Parts that a
definition holds constant (no gradient) are evaluated at the fixed point `at`, the rest at the moved one.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.objective.advantages import group_advantages, part_advantages, whitened_token_advantages
from grpo_jax.objective.aggregation import token_weights
from grpo_jax.objective.correction import correction_weights, offpolicy_mask
from grpo_jax.objective.kl import token_kl
from grpo_jax.objective.overlong import soft_overlong_penalty
from grpo_jax.objective.policy_loss import cispo_token_loss, clipped_token_loss, probability_ratio

TOLERANCE = 1e-6
LOW, HIGH = 0.2, 0.3
RNG = np.random.default_rng(7)
B, C = 6, 9
LENGTHS = np.array([9, 1, 5, 9, 3, 7])
MASK = np.arange(C) < LENGTHS[:, None]
POLICY = -RNG.exponential(size=(B, C))
OLD = POLICY + RNG.normal(scale=0.5, size=(B, C))
SAMPLER = OLD + RNG.normal(scale=0.3, size=(B, C))
REFERENCE = POLICY + RNG.normal(scale=0.8, size=(B, C))
ADVANTAGES = RNG.normal(size=(B, 1))


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def central_differences(function, point, step=1e-6):
    gradient = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        moved = [point.copy(), point.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        gradient[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return gradient


def assert_value_and_gradient(ours, numpy_side):
    """`ours(policy)` and `numpy_side(policy, at)` give a loss for every token; compare them and their masked sum."""
    value, gradient = jax.value_and_grad(lambda p: jnp.where(MASK, ours(p), 0.0).sum())(jnp.asarray(POLICY))
    expected = np.where(MASK, numpy_side(POLICY, POLICY), 0.0)
    np.testing.assert_allclose(np.where(MASK, ours(jnp.asarray(POLICY)), 0.0), expected, rtol=TOLERANCE, atol=1e-9)
    assert float(value) == pytest.approx(expected.sum(), rel=TOLERANCE)
    slope = central_differences(lambda p: np.where(MASK, numpy_side(p, POLICY), 0.0).sum(), POLICY)
    np.testing.assert_allclose(gradient, slope, rtol=TOLERANCE, atol=2e-8)


def ratio_by_numpy(level, policy, at):
    if level == "token":
        return np.exp(policy - OLD)
    mean = (np.where(MASK, (policy if level == "sequence" else at) - OLD, 0).sum(1) / LENGTHS)[:, None]
    return np.exp(mean + (0 if level == "sequence" else policy - at)) * np.ones((1, C))


def ratio_by_us(level, policy):
    return probability_ratio(policy, jnp.asarray(OLD), jnp.asarray(MASK), level)


@pytest.mark.parametrize("level", ["token", "sequence", "sequence_token"])
def test_clip(level):
    def by_numpy(policy, at):
        rho = ratio_by_numpy(level, policy, at)
        return np.maximum(-ADVANTAGES * rho, -ADVANTAGES * np.clip(rho, 1 - LOW, 1 + HIGH))

    assert_value_and_gradient(lambda p: clipped_token_loss(ratio_by_us(level, p), ADVANTAGES, LOW, HIGH).loss, by_numpy)


def test_dual_clip_of_verl_and_delta_of_trl():
    bound = 1.5

    def verl(policy, at):
        rho = np.exp(policy - OLD)
        clipped = np.maximum(-ADVANTAGES * rho, -ADVANTAGES * np.clip(rho, 1 - LOW, 1 + HIGH))
        return np.where(ADVANTAGES < 0, np.minimum(clipped, -ADVANTAGES * bound), clipped)

    def trl(policy, at):
        rho = np.exp(policy - OLD)
        return np.maximum(-ADVANTAGES * np.minimum(rho, bound), -ADVANTAGES * np.clip(rho, 1 - LOW, 1 + HIGH))

    for by_numpy in (verl, trl):
        assert_value_and_gradient(
            lambda p: clipped_token_loss(ratio_by_us("token", p), ADVANTAGES, LOW, HIGH, bound).loss, by_numpy
        )


@pytest.mark.parametrize(
    ("low", "weight"),
    [
        (LOW, lambda rho: np.clip(rho, 1 - LOW, 1 + HIGH)),
        # TRL's cap is absolute and has no lower bound.
        (1.0, lambda rho: np.minimum(rho, 1 + HIGH)),
    ],
    ids=["verl", "trl"],
)
def test_cispo(low, weight):
    assert_value_and_gradient(
        lambda p: cispo_token_loss(p, ratio_by_us("token", p), ADVANTAGES, low, HIGH).loss,
        lambda policy, at: -weight(np.exp(at - OLD)) * ADVANTAGES * policy,
    )


def k3_by_numpy(policy):
    return np.exp(REFERENCE - policy) - (REFERENCE - policy) - 1


@pytest.mark.parametrize(
    ("estimator", "limits", "by_numpy"),
    [
        ("k1", {}, lambda policy, at: policy - REFERENCE),
        ("k2", {}, lambda policy, at: (policy - REFERENCE) ** 2 / 2),
        ("k3", {}, lambda policy, at: k3_by_numpy(policy)),
        ("k3_corrected", {}, lambda policy, at: np.exp(policy - OLD) * k3_by_numpy(policy)),
        # Its value is k3's, its gradient k2's.
        ("k3_k2", {}, lambda policy, at: k3_by_numpy(at) + ((policy - REFERENCE) ** 2 - (at - REFERENCE) ** 2) / 2),
        # verl clamps both, PipelineRL the difference alone.
        (
            "k3",
            {"max_difference": 1.0, "max_value": 0.5},
            lambda policy, at: np.minimum(
                np.exp(d := np.clip(REFERENCE - policy, -1, 1)) - d - 1,
                0.5,
            ),
        ),
    ],
    ids=["k1", "k2", "k3", "k3_corrected", "k3_k2", "k3_clamped"],
)
def test_kl(estimator, limits, by_numpy):
    assert_value_and_gradient(
        lambda p: token_kl(p, jnp.asarray(REFERENCE), estimator, ratio=ratio_by_us("token", p), **limits), by_numpy
    )


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("mode", ["truncate", "mask"])
def test_sampler_correction(level, mode):
    delta = np.where(MASK, OLD - SAMPLER, 0)
    weight = np.exp(delta if level == "token" else delta.sum(1, keepdims=True) * np.ones((1, C)))
    low, high = 0.7, 1.6
    expected = (
        np.clip(weight, low, high) if mode == "truncate" else np.where((weight < low) | (weight > high), 0, weight)
    )
    assert (expected != weight).any()
    assert (expected == weight).any()
    found = correction_weights(
        jnp.asarray(OLD), jnp.asarray(SAMPLER), jnp.asarray(MASK), level=level, mode=mode, minimum=low, maximum=high
    )
    np.testing.assert_allclose(np.where(MASK, found, 0), np.where(MASK, expected, 0), rtol=TOLERANCE)
    gradient = jax.grad(
        lambda old: correction_weights(
            old, jnp.asarray(SAMPLER), jnp.asarray(MASK), level=level, mode=mode, minimum=low, maximum=high
        ).sum()
    )(jnp.asarray(OLD))
    assert not np.asarray(gradient).any()


def test_offpolicy_mask():
    mean = np.where(MASK, SAMPLER - POLICY, 0).sum(1) / LENGTHS
    threshold = float(np.median(mean[ADVANTAGES[:, 0] < 0]))
    expected = (ADVANTAGES[:, 0] >= 0) | (mean <= threshold)
    found = offpolicy_mask(jnp.asarray(POLICY), jnp.asarray(SAMPLER), ADVANTAGES, jnp.asarray(MASK), threshold)
    np.testing.assert_array_equal(found, np.broadcast_to(expected[:, None], MASK.shape))
    assert not expected.all()


REWARDS = np.array([[1.0, 0.0, 0.25, 1.0], [0.0, 0.0, 2.0, 0.5], [0.3, 0.1, -1.0, 4.0]])
VALID = np.array([[True, True, True, True], [True, True, False, True], [True, True, True, True]])


@pytest.mark.parametrize(
    ("method", "epsilon", "ddof", "by_numpy"),
    [
        ("group_std", 1e-4, 1, lambda r, everyone: (r - r.mean()) / (r.std(ddof=1) + 1e-4)),
        ("group_std", 1e-6, 1, lambda r, everyone: (r - r.mean()) / (r.std(ddof=1) + 1e-6)),
        ("group_std", 1e-4, 0, lambda r, everyone: (r - r.mean()) / (r.std() + 1e-4)),
        ("group_mean", 1e-4, 1, lambda r, everyone: r - r.mean()),
        ("batch_std", 1e-4, 1, lambda r, everyone: (r - r.mean()) / (everyone.std(ddof=1) + 1e-4)),
        ("leave_one_out", 1e-4, 1, lambda r, everyone: r - (r.sum() - r) / (len(r) - 1)),
        (
            "leave_one_out_std",
            1e-4,
            1,
            lambda r, everyone: (r - (r.sum() - r) / (len(r) - 1)) / (r.std(ddof=1) + 1e-4),
        ),
        ("reward", 1e-4, 1, lambda r, everyone: r),
    ],
    ids=["trl", "verl", "easydel", "dr_grpo", "trl_batch", "rloo", "pipelinerl", "none"],
)
def test_group_advantages(method, epsilon, ddof, by_numpy):
    found, _ = group_advantages(REWARDS, VALID, method, epsilon, ddof)
    expected = np.zeros_like(REWARDS)
    for row, valid, out in zip(REWARDS, VALID, expected, strict=True):
        out[valid] = by_numpy(row[valid], REWARDS[VALID])
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=1e-7)


def test_part_advantages_of_trl():
    parts = {"answer": REWARDS, "format": np.cos(REWARDS)}
    weights = {"answer": np.array([1.0, 2.0, 1.0]), "format": np.array([0.5, 0.0, 0.25])}
    total = np.zeros_like(REWARDS)
    for name, values in parts.items():
        for row, valid, weight, out in zip(values, VALID, weights[name], total, strict=True):
            own = row[valid]
            out[valid] += weight * (own - own.mean()) / (own.std(ddof=1) + 1e-4)
    expected = np.where(VALID, (total - total[VALID].mean()) / (total[VALID].std(ddof=1) + 1e-4), 0)
    np.testing.assert_allclose(part_advantages(parts, weights, VALID), expected, rtol=1e-5, atol=1e-6)


def test_whitened_token_returns_of_reinforce_plus_plus():
    rewards = np.array([[1.0, 0.0], [0.5, 2.0]])
    lengths = np.array([[3, 1], [2, 4]])
    penalties = RNG.normal(scale=0.2, size=(2, 2, 4))
    flat = [
        rewards[p, g] - penalties[p, g, t : lengths[p, g]].sum()
        for p, g in np.ndindex(2, 2)
        for t in range(lengths[p, g])
    ]
    mean, variance = np.mean(flat), np.var(flat, ddof=1)
    mask = np.arange(4) < lengths[..., None]
    found = whitened_token_advantages(rewards, penalties, mask)
    np.testing.assert_allclose(found[mask], (np.array(flat) - mean) / np.sqrt(variance + 1e-8), rtol=1e-6, atol=1e-7)
    assert not found[~mask].any()


@pytest.mark.parametrize(
    ("method", "row_weight"),
    [
        ("token_mean", lambda n: 1 / LENGTHS.sum() + 0 * n),
        ("row_mean", lambda n: 1 / (B * n)),
        ("row_sum", lambda n: 1 / B + 0 * n),
        ("row_sum_constant", lambda n: 1 / (B * 20) + 0 * n),
        ("row_sum_padded", lambda n: 1 / (B * C) + 0 * n),
    ],
)
def test_aggregation(method, row_weight):
    found = token_weights(method, MASK, max_completion_tokens=20, padded_tokens=C, num_rows=B)
    np.testing.assert_allclose(found, MASK * row_weight(LENGTHS)[:, None], rtol=TOLERANCE)


def test_soft_overlong_penalty_of_dapo():
    lengths, limit, buffer = np.array([0, 60, 80, 85, 90, 99, 100]), np.array([100]), 20
    expected = [0, 0, 0, -0.25, -0.5, -0.95, -1]
    np.testing.assert_allclose(soft_overlong_penalty(lengths, limit, buffer), expected, atol=1e-12)
    np.testing.assert_allclose(soft_overlong_penalty(lengths, limit, buffer, 2.0), 2 * np.array(expected), atol=1e-12)
