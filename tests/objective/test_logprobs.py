# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.objective.logprobs import token_logprobs

B, N, D, V = 3, 11, 8, 40


class Inputs(NamedTuple):
    hidden: np.ndarray
    head: np.ndarray
    targets: np.ndarray
    temperature: np.ndarray


def random_inputs(scale: float = 1.0) -> Inputs:
    rng = np.random.default_rng(0)
    return Inputs(
        rng.normal(0, scale, (B, N, D)).astype(np.float32),
        rng.normal(0, 1, (V, D)).astype(np.float32),
        rng.integers(0, V, (B, N)).astype(np.int32),
        np.array([1.0, 0.5, 1.7], np.float32),
    )


def in_float64(inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    hidden, head, targets, temperature = inputs
    logits = hidden.astype(np.float64) @ head.astype(np.float64).T / temperature[:, None, None]
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logprobs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    entropy = -(np.exp(logprobs) * logprobs).sum(axis=-1)
    return np.take_along_axis(logprobs, targets[..., None], axis=-1)[..., 0], entropy


def untiled(hidden: jax.Array, head: jax.Array, targets: jax.Array, temperature: jax.Array) -> jax.Array:
    logits = hidden @ head.T / temperature[:, None, None]
    return jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], axis=-1)[..., 0]


# One token of each row a tile, dividing and not dividing 11 tokens, exactly all, more than all.
TILES = [1, 3, 6, 13, 33, 1000]


@pytest.mark.parametrize("tile_tokens", TILES)
def test_logprobs_and_entropy_equal_a_float64_softmax_for_every_tile(tile_tokens: int) -> None:
    inputs = random_inputs()
    logprobs, entropy = token_logprobs(*inputs, tile_tokens=tile_tokens)
    wanted_logprobs, wanted_entropy = in_float64(inputs)
    np.testing.assert_allclose(logprobs, wanted_logprobs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(entropy, wanted_entropy, rtol=1e-5, atol=1e-5)


def test_logits_far_from_zero_stay_finite() -> None:
    inputs = random_inputs(scale=300.0)
    logprobs, entropy = token_logprobs(*inputs, tile_tokens=6)
    wanted_logprobs, wanted_entropy = in_float64(inputs)
    # Logits reach a few thousand, where a float32 has a spacing of 2e-4.
    np.testing.assert_allclose(logprobs, wanted_logprobs, rtol=1e-5, atol=2e-3)
    np.testing.assert_allclose(entropy, wanted_entropy, atol=2e-3)


@pytest.mark.parametrize("tile_tokens", [1, 13, 1000])
def test_gradients_equal_those_without_tiles(tile_tokens: int) -> None:
    inputs = random_inputs()
    direction = jnp.asarray(np.random.default_rng(1).normal(size=(B, N)), jnp.float32)

    def gradients(function: Callable[..., jax.Array]) -> tuple[jax.Array, jax.Array]:
        def loss(hidden: jax.Array, head: jax.Array) -> jax.Array:
            return (function(hidden, head, inputs.targets, inputs.temperature) * direction).sum()

        return jax.grad(loss, argnums=(0, 1))(inputs.hidden, inputs.head)

    tiled = gradients(lambda *arguments: token_logprobs(*arguments, tile_tokens=tile_tokens)[0])
    for ours, wanted in zip(tiled, gradients(untiled), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


def test_entropy_carries_no_gradient() -> None:
    inputs = random_inputs()
    gradient = jax.grad(lambda hidden: token_logprobs(hidden, *inputs[1:])[1].sum())(inputs.hidden)
    assert not np.any(gradient)


def test_half_precision_inputs_give_float32_results_of_their_rounded_values() -> None:
    hidden, head, targets, temperature = random_inputs()
    halved = jnp.asarray(hidden, jnp.bfloat16), jnp.asarray(head, jnp.bfloat16)
    logprobs, entropy = token_logprobs(*halved, targets, temperature, tile_tokens=6)
    rounded = Inputs(*(np.asarray(values, np.float32) for values in halved), targets, temperature)
    wanted_logprobs, wanted_entropy = in_float64(rounded)
    assert logprobs.dtype == entropy.dtype == jnp.float32
    np.testing.assert_allclose(logprobs, wanted_logprobs, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(entropy, wanted_entropy, rtol=1e-5, atol=1e-5)


def test_memory_holds_one_tile_of_logits_however_many_tokens() -> None:
    vocabulary, width, tile_tokens = 8192, 4, 64
    tile_bytes = 4 * tile_tokens * vocabulary

    def temporary_bytes(num_tokens: int) -> int:
        @partial(jax.grad, argnums=(0, 1))
        def loss(hidden: jax.Array, head: jax.Array, targets: jax.Array) -> jax.Array:
            return token_logprobs(hidden, head, targets, jnp.ones(2), tile_tokens)[0].sum()

        shapes = (
            jax.ShapeDtypeStruct((2, num_tokens // 2, width), jnp.float32),
            jax.ShapeDtypeStruct((vocabulary, width), jnp.float32),
            jax.ShapeDtypeStruct((2, num_tokens // 2), jnp.int32),
        )
        analysis = jax.jit(loss).lower(*shapes).compile().memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    few, many = temporary_bytes(2 * tile_tokens), temporary_bytes(32 * tile_tokens)
    assert few < 8 * tile_bytes
    # What grows with the tokens is their states, gradients and results, not their logits.
    assert many - few < tile_bytes


@pytest.mark.parametrize("tile_tokens", TILES)
def test_ids_beyond_the_choices_of_a_token_are_as_if_their_rows_did_not_exist(tile_tokens: int) -> None:
    inputs = random_inputs()
    rng = np.random.default_rng(1)
    choices = rng.choice([25, V], (B, N)).astype(np.int32)
    inputs = inputs._replace(targets=inputs.targets % 25)
    logprobs, entropy = token_logprobs(*inputs, tile_tokens=tile_tokens, num_choices=jnp.asarray(choices))
    all_rows, few_rows = in_float64(inputs), in_float64(inputs._replace(head=inputs.head[:25]))
    for found, wide, narrow in zip((logprobs, entropy), all_rows, few_rows, strict=True):
        np.testing.assert_allclose(found, np.where(choices == V, wide, narrow), rtol=1e-5, atol=1e-5)


def test_rows_beyond_the_choices_get_no_gradient_even_from_the_entropy() -> None:
    hidden, head, targets, temperature = random_inputs()
    choices = jnp.full((B, N), 25, jnp.int32).at[1, 4].set(30)

    def objective(head: jax.Array) -> jax.Array:
        logprobs, entropy = token_logprobs(
            hidden, head, targets % 25, temperature, tile_tokens=6, train_entropy=True, num_choices=choices
        )
        return logprobs.sum() + entropy.sum()

    gradient = np.asarray(jax.grad(objective)(jnp.asarray(head)))
    assert np.isfinite(gradient).all()
    assert (gradient[30:] == 0).all()
    assert (np.abs(gradient[25:30]).sum(axis=1) > 0).all(), "one token could choose these"
