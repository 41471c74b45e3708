# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention by parts against one softmax over all keys of every token, values and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.models.partwise_attention import NO_WINDOW, attend_lines

B, J, C, P, N, K, H = 2, 3, 20, 14, 4, 2, 8
SCALE = 0.4
LENGTHS = np.array([14, 5], np.int32)
# Row 0: two responses in line 0, one in line 1, none in line 2. Row 1: a full line, three in one, one token.
SIZES = [[[7, 9], [12], []], [[20], [4, 5, 6], [1]]]


def lines() -> tuple[np.ndarray, np.ndarray]:
    """Segments and positions of `SIZES`."""
    segments, positions = np.full((B, J, C), -1, np.int32), np.zeros((B, J, C), np.int32)
    for row, of_row in enumerate(SIZES):
        number = 0
        for line, sizes in enumerate(of_row):
            column = 0
            for size in sizes:
                segments[row, line, column : column + size] = number
                positions[row, line, column : column + size] = LENGTHS[row] + np.arange(size)
                column, number = column + size, number + 1
    return segments, positions


SEGMENTS, POSITIONS = lines()


@pytest.fixture(scope="module")
def arrays() -> dict[str, jax.Array]:
    rng = np.random.default_rng(0)
    shapes = {"q": (B, J, C, N, H), "k": (B, J, C, K, H), "v": (B, J, C, K, H)}
    shapes |= {"prompt_k": (B, P, K, H), "prompt_v": (B, P, K, H)}
    return {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()}


def plain(arrays: dict[str, jax.Array], window: int | None, with_prompt: bool) -> jax.Array:
    """One softmax a token over the keys of all lines and of the prompt."""
    keys = [arrays["k"].reshape(B, J * C, K, H)]
    values = [arrays["v"].reshape(B, J * C, K, H)]
    key_positions, key_segments = [POSITIONS.reshape(B, -1)], [SEGMENTS.reshape(B, -1)]
    if with_prompt:
        keys.append(arrays["prompt_k"])
        values.append(arrays["prompt_v"])
        key_positions.append(np.tile(np.arange(P), (B, 1)))
        key_segments.append(np.where(np.arange(P) < LENGTHS[:, None], 99, -2))
    repeated = [jnp.repeat(jnp.concatenate(parts, axis=1), N // K, axis=2) for parts in (keys, values)]
    positions, segments = np.concatenate(key_positions, 1)[:, None], np.concatenate(key_segments, 1)[:, None]
    own_positions, own_segments = POSITIONS.reshape(B, -1)[..., None], SEGMENTS.reshape(B, -1)[..., None]
    seen = ((segments == own_segments) & (positions <= own_positions)) | (segments == 99)
    if window is not None:
        seen &= own_positions - positions < window
    queries = arrays["q"].reshape(B, J * C, N, H)
    scores = jnp.einsum("btnh,bsnh->bnts", queries * SCALE, repeated[0])
    weights = jax.nn.softmax(jnp.where(seen[:, None], scores, -1e30), axis=-1)
    return jnp.einsum("bnts,bsnh->btnh", weights, repeated[1]).reshape(B, J, C, N, H)


def by_parts(arrays: dict[str, jax.Array], window: int | None, with_prompt: bool, tile: int) -> jax.Array:
    prompt = (arrays["prompt_k"], arrays["prompt_v"], LENGTHS) if with_prompt else None
    own = (arrays[name] for name in "qkv")
    return attend_lines(*own, POSITIONS, SEGMENTS, SCALE, window, prompt, tile)


@pytest.mark.parametrize("with_prompt", [True, False], ids=["with_prompt", "alone"])
@pytest.mark.parametrize("window", [None, NO_WINDOW, 6, 1])
@pytest.mark.parametrize("tile", [512, 8, 3])
def test_values_and_gradients_equal_one_softmax(
    window: int | None, tile: int, with_prompt: bool, arrays: dict[str, jax.Array]
) -> None:
    direction = np.random.default_rng(1).normal(size=(B, J, C, N, H)).astype(np.float32)
    direction *= (SEGMENTS >= 0)[..., None, None]

    @partial(jax.jit, static_argnums=0)
    def both(function: partial, arrays: dict[str, jax.Array]) -> tuple:
        def loss(arrays: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
            out = function(arrays)
            return (out * direction).sum(), out * (SEGMENTS >= 0)[..., None, None]

        return jax.value_and_grad(loss, has_aux=True)(arrays)

    (_, found), gradient = both(partial(by_parts, window=window, with_prompt=with_prompt, tile=tile), arrays)
    (_, wanted), expected = both(partial(plain, window=window, with_prompt=with_prompt), arrays)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    for name, values in expected.items():
        size = float(jnp.linalg.norm(values))
        assert float(jnp.linalg.norm(gradient[name] - values)) <= 1e-5 * size + 1e-5, name


def test_padding_never_changes_a_real_token(arrays: dict[str, jax.Array]) -> None:
    padding = jnp.asarray(SEGMENTS < 0)[..., None, None]
    changed = arrays | {name: jnp.where(padding, 1e4, arrays[name]) for name in "qkv"}
    beyond = jnp.asarray(np.arange(P) >= LENGTHS[:, None])[..., None, None]
    changed |= {name: jnp.where(beyond, 1e4, arrays[name]) for name in ("prompt_k", "prompt_v")}
    before, after = (by_parts(given, None, True, 8) for given in (arrays, changed))
    np.testing.assert_array_equal(np.where(padding, 0, before), np.where(padding, 0, after))


def test_temporary_memory_grows_with_the_length_and_not_its_square() -> None:
    def temporary_bytes(num_tokens: int) -> int:
        def loss(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
            columns = jnp.arange(num_tokens)[None, None]
            return attend_lines(q, k, v, columns, jnp.zeros_like(columns), SCALE, None, tile=64).sum()

        shape = jax.ShapeDtypeStruct((1, 1, num_tokens, 2, 8), jnp.float32)
        analysis = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(shape, shape, shape).compile().memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    assert temporary_bytes(2048) < 2.5 * temporary_bytes(1024)
