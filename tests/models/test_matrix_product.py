# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Products of tokens with matrices of several input and output dims: NumPy's einsum in float64, and its gradients."""

import jax
import numpy as np
import pytest

from grpo_jax.models.matrix_product import matrix_product

CASES = {
    "query": ((2, 3, 5), (5, 4, 6), 2, "btd,dnh->btnh"),
    "output": ((2, 3, 4, 6), (4, 6, 5), 1, "btnh,nhd->btd"),
    "gate": ((2, 3, 5), (5, 7), 1, "btd,df->btf"),
    "one token": ((5,), (5, 4, 6), 2, "d,dnh->nh"),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_sum_over_inputs(name):
    x_shape, matrix_shape, num_outputs, equation = CASES[name]
    rng = np.random.default_rng(0)
    x, matrix = rng.normal(size=x_shape), rng.normal(size=matrix_shape)
    expected = np.einsum(equation, x, matrix)
    inputs, out = equation.split("->")
    of_x, of_matrix = inputs.split(",")
    by_out = rng.normal(size=expected.shape)
    with jax.enable_x64(True):
        found, pull = jax.vjp(lambda x, matrix: matrix_product(x, matrix, num_outputs), x, matrix)
        by_x, by_matrix = pull(by_out)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(by_x, np.einsum(f"{out},{of_matrix}->{of_x}", by_out, matrix), rtol=1e-12)
    np.testing.assert_allclose(by_matrix, np.einsum(f"{of_x},{out}->{of_matrix}", x, by_out), rtol=1e-12)
