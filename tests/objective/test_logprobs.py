# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grpo_jax.objective.logprobs import HeadSharding, token_logprobs

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


# One logit a tile, some tokens by one id, all tokens by ids that do and do not divide the vocabulary, everything.
TILES = [4, 4 * 12, 4 * 33, 4 * 33 * 3, 4 * 33 * 10, 10**6]


@pytest.mark.parametrize("tile_bytes", TILES)
def test_logprobs_and_entropy_equal_a_float64_softmax_for_every_tile(tile_bytes: int) -> None:
    inputs = random_inputs()
    logprobs, entropy = token_logprobs(*inputs, tile_bytes=tile_bytes)
    wanted_logprobs, wanted_entropy = in_float64(inputs)
    np.testing.assert_allclose(logprobs, wanted_logprobs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(entropy, wanted_entropy, rtol=1e-5, atol=1e-5)


def test_logits_far_from_zero_stay_finite() -> None:
    inputs = random_inputs(scale=300.0)
    logprobs, entropy = token_logprobs(*inputs, tile_bytes=400)
    wanted_logprobs, wanted_entropy = in_float64(inputs)
    # Logits reach a few thousand, where a float32 has a spacing of 2e-4.
    np.testing.assert_allclose(logprobs, wanted_logprobs, rtol=1e-5, atol=2e-3)
    np.testing.assert_allclose(entropy, wanted_entropy, atol=2e-3)


@pytest.mark.parametrize("tile_bytes", TILES)
def test_gradients_equal_those_without_tiles(tile_bytes: int) -> None:
    inputs = random_inputs()
    direction = jnp.asarray(np.random.default_rng(1).normal(size=(B, N)), jnp.float32)

    def gradients(function: Callable[..., jax.Array]) -> tuple[jax.Array, jax.Array]:
        def loss(hidden: jax.Array, head: jax.Array) -> jax.Array:
            return (function(hidden, head, inputs.targets, inputs.temperature) * direction).sum()

        return jax.grad(loss, argnums=(0, 1))(inputs.hidden, inputs.head)

    tiled = gradients(lambda *arguments: token_logprobs(*arguments, tile_bytes=tile_bytes)[0])
    for ours, wanted in zip(tiled, gradients(untiled), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


def test_gradients_of_trained_entropy_equal_those_without_tiles() -> None:
    inputs = random_inputs()

    def untiled_entropy(hidden: jax.Array, head: jax.Array) -> jax.Array:
        logprobs = jax.nn.log_softmax(hidden @ head.T / inputs.temperature[:, None, None])
        return -(jnp.exp(logprobs) * logprobs).sum()

    def tiled(hidden: jax.Array, head: jax.Array) -> jax.Array:
        return token_logprobs(hidden, head, inputs.targets, inputs.temperature, 400, train_entropy=True)[1].sum()

    wanted = jax.grad(untiled_entropy, argnums=(0, 1))(inputs.hidden, inputs.head)
    for ours, expected in zip(jax.grad(tiled, argnums=(0, 1))(inputs.hidden, inputs.head), wanted, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_entropy_carries_no_gradient() -> None:
    inputs = random_inputs()
    gradient = jax.grad(lambda hidden: token_logprobs(hidden, *inputs[1:])[1].sum())(inputs.hidden)
    assert not np.any(gradient)


def test_half_precision_inputs_give_float32_results_of_their_rounded_values() -> None:
    hidden, head, targets, temperature = random_inputs()
    halved = jnp.asarray(hidden, jnp.bfloat16), jnp.asarray(head, jnp.bfloat16)
    logprobs, entropy = token_logprobs(*halved, targets, temperature, tile_bytes=400)
    rounded = Inputs(*(np.asarray(values, np.float32) for values in halved), targets, temperature)
    wanted_logprobs, wanted_entropy = in_float64(rounded)
    assert logprobs.dtype == entropy.dtype == jnp.float32
    np.testing.assert_allclose(logprobs, wanted_logprobs, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(entropy, wanted_entropy, rtol=1e-5, atol=1e-5)


def test_memory_holds_tiles_of_logits_however_many_tokens_and_ids() -> None:
    width, tile_bytes = 4, 2**20

    def vocabulary_sized_bytes(num_tokens: int, vocab_size: int) -> int:
        """Temporary memory without what grows with tokens or ids alone."""

        @partial(jax.grad, argnums=(0, 1))
        def loss(hidden: jax.Array, head: jax.Array, targets: jax.Array) -> jax.Array:
            return token_logprobs(hidden, head, targets, jnp.ones(2), tile_bytes)[0].sum()

        shapes = (
            jax.ShapeDtypeStruct((2, num_tokens // 2, width), jnp.float32),
            jax.ShapeDtypeStruct((vocab_size, width), jnp.float32),
            jax.ShapeDtypeStruct((2, num_tokens // 2), jnp.int32),
        )
        analysis = jax.jit(loss).lower(*shapes).compile().memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes - 4 * width * (vocab_size + 16 * num_tokens)

    for num_tokens, vocab_size in [(128, 8192), (4096, 8192), (128, 100_003), (10_000, 50_000)]:
        assert vocabulary_sized_bytes(num_tokens, vocab_size) < 2.5 * tile_bytes


@pytest.mark.parametrize(("vocab_size", "split"), [(256, True), (250, False)])
def test_devices_that_share_rows_and_vocabulary_agree_with_one(vocab_size: int, split: bool) -> None:
    mesh = Mesh(np.array(jax.devices()).reshape(2, 1, 4), ("data", "fsdp", "tensor"))
    sharding = HeadSharding(mesh, ("data", "fsdp"), "tensor")
    rng = np.random.default_rng(0)
    hidden, head = rng.normal(size=(4, 64, D)).astype(np.float32), rng.normal(size=(vocab_size, D)).astype(np.float32)
    targets, temperature = rng.integers(0, vocab_size, (4, 64)).astype(np.int32), np.ones(4, np.float32)
    choices = np.where(np.arange(64) % 2, vocab_size, targets + 1).astype(np.int32)
    direction = rng.normal(size=(2, 4, 64)).astype(np.float32)

    def loss(hidden: jax.Array, head: jax.Array, sharding: HeadSharding | None) -> tuple[jax.Array, jax.Array]:
        found = token_logprobs(
            hidden, head, targets, temperature, 4096, train_entropy=True, num_choices=choices, sharding=sharding
        )
        return (jnp.stack(found) * direction).sum(), jnp.stack(found)

    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True), static_argnums=2)
    rows, ids = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec("tensor"))
    placed = jax.device_put(hidden, rows), jax.device_put(head, ids if split else NamedSharding(mesh, PartitionSpec()))
    (_, found), gradients = both(*placed, sharding)
    (_, wanted), wanted_gradients = both(hidden, head, None)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    for ours, expected in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    if split:
        program = both.lower(*placed, sharding).compile().as_text()
        assert "all-gather" not in program, "no device needs another's logits or rows of the head"


@pytest.mark.parametrize("tile_bytes", TILES)
def test_ids_beyond_the_choices_of_a_token_are_as_if_their_rows_did_not_exist(tile_bytes: int) -> None:
    inputs = random_inputs()
    rng = np.random.default_rng(1)
    choices = rng.choice([25, V], (B, N)).astype(np.int32)
    inputs = inputs._replace(targets=inputs.targets % 25)
    logprobs, entropy = token_logprobs(*inputs, tile_bytes=tile_bytes, num_choices=jnp.asarray(choices))
    all_rows, few_rows = in_float64(inputs), in_float64(inputs._replace(head=inputs.head[:25]))
    for found, wide, narrow in zip((logprobs, entropy), all_rows, few_rows, strict=True):
        np.testing.assert_allclose(found, np.where(choices == V, wide, narrow), rtol=1e-5, atol=1e-5)


def test_rows_beyond_the_choices_get_no_gradient_even_from_the_entropy() -> None:
    hidden, head, targets, temperature = random_inputs()
    choices = jnp.full((B, N), 25, jnp.int32).at[1, 4].set(30)

    def objective(head: jax.Array) -> jax.Array:
        logprobs, entropy = token_logprobs(
            hidden, head, targets % 25, temperature, tile_bytes=400, train_entropy=True, num_choices=choices
        )
        return logprobs.sum() + entropy.sum()

    gradient = np.asarray(jax.grad(objective)(jnp.asarray(head)))
    assert np.isfinite(gradient).all()
    assert (gradient[30:] == 0).all()
    assert (np.abs(gradient[25:30]).sum(axis=1) > 0).all(), "one token could choose these"
