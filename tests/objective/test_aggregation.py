# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Weights against each method's formula, and law 3: no split, padding or mesh changes the sum or its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.objective.aggregation import token_weights
from grpo_jax.parallel.rules import batch_sharding
from grpo_jax.parallel.transfer import place

METHODS = ("token_mean", "row_mean", "row_sum_constant", "row_sum_padded")
MAX_TOKENS, WIDTH = 12, 7


def ragged_batch():
    rng = np.random.default_rng(0)
    lengths = np.array([7, 1, 0, 4, 3, 7, 2, 5])
    mask = np.arange(WIDTH) < lengths[:, None]
    return rng.normal(size=mask.shape), mask


def weights_of(method, mask, num_rows=8, padded_tokens=WIDTH, num_tokens=None):
    return token_weights(
        method,
        mask,
        max_completion_tokens=MAX_TOKENS,
        padded_tokens=padded_tokens,
        num_rows=num_rows,
        num_tokens=num_tokens,
    )


def expected_loss(method, losses, mask):
    rows = [row[keep] for row, keep in zip(losses, mask, strict=True)]
    return {
        "token_mean": np.concatenate(rows).mean(),
        "row_mean": np.mean([row.mean() if row.size else 0.0 for row in rows]),
        "row_sum_constant": sum(row.sum() for row in rows) / (len(rows) * MAX_TOKENS),
        "row_sum_padded": sum(row.sum() for row in rows) / (len(rows) * WIDTH),
    }[method]


@pytest.mark.parametrize("method", METHODS)
def test_weighted_sum_is_the_definition(method):
    losses, mask = ragged_batch()
    weights = weights_of(method, mask)
    assert weights.dtype == np.float32
    assert (weights * losses).sum() == pytest.approx(expected_loss(method, losses, mask), rel=1e-6)
    assert not weights[~mask].any()


@pytest.mark.parametrize("method", METHODS)
def test_padding_rows_and_columns_change_no_weight(method):
    _, mask = ragged_batch()
    padded = np.zeros((11, WIDTH + 5), bool)
    padded[:8, 5:] = mask
    np.testing.assert_array_equal(weights_of(method, padded)[:8, 5:], weights_of(method, mask))
    assert not weights_of(method, padded)[8:].any()


@pytest.mark.parametrize("method", METHODS)
def test_rows_weighed_on_two_hosts_weigh_the_same_as_on_one(method):
    _, mask = ragged_batch()
    halves = [weights_of(method, half, num_tokens=int(mask.sum())) for half in (mask[:3], mask[3:])]
    np.testing.assert_array_equal(np.concatenate(halves), weights_of(method, mask))


@pytest.mark.parametrize("method", METHODS)
def test_gradient_is_the_same_for_any_microbatches_and_any_number_of_devices(method):
    _, mask = ragged_batch()
    weights = weights_of(method, mask)
    inputs = np.random.default_rng(1).normal(size=(8, WIDTH, 3)).astype(np.float32)
    params = jnp.array([0.3, -1.2, 0.7])

    def loss(params, inputs, weights):
        return jnp.sum(weights * jnp.tanh(inputs @ params))

    whole = jax.grad(loss)(params, inputs, weights)
    for size in (1, 2, 3, 5):
        parts = [jax.grad(loss)(params, inputs[i : i + size], weights[i : i + size]) for i in range(0, 8, size)]
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-5, atol=1e-7)
    for num_devices in (2, 4, 8):
        mesh = jax.make_mesh(
            (num_devices, 1, 1),
            ("data", "fsdp", "tensor"),
            axis_types=(jax.sharding.AxisType.Auto,) * 3,
            devices=jax.devices()[:num_devices],
        )
        placed = place((inputs, weights), batch_sharding(mesh))
        np.testing.assert_allclose(jax.jit(jax.grad(loss))(params, *placed), whole, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_update_without_tokens_has_zero_weights(method):
    weights = weights_of(method, np.zeros((2, 3)), num_rows=2)
    np.testing.assert_array_equal(weights, 0.0)


def test_mistakes_are_refused():
    mask = np.ones((1, 1))
    with pytest.raises(ValueError, match="num_rows=0"):
        weights_of("row_mean", mask, num_rows=0)
    with pytest.raises(ValueError, match="zeros and ones"):
        weights_of("row_mean", 2 * mask)
    with pytest.raises(ValueError, match="unknown"):
        weights_of("mean", mask)
