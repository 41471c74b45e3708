# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The tokens that cuts leave, against their definition in float64."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.sampling.cuts import SMALL_BLOCK, WINDOW, Cuts, bisect, smallest_kept

TEMPERATURES = (0.6, 1.0, 1.7)
TOP_P = (1.0, 0.95, 0.5, 0.9999)
TOP_K = (0, 1, 40, 256, 1000, 10**6)
MIN_P = (0.0, 0.02, 0.5)
SETTINGS: list[tuple[float, float, int, float]] = list(product(TEMPERATURES, TOP_P, TOP_K, MIN_P))


def distributions(vocab: int, seed: int) -> dict[str, np.ndarray]:
    """Logits [V] of the kinds that sampling meets."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(0, 2.0, vocab)
    peaked = rng.normal(0, 2.0, vocab)
    peaked[vocab // 3] = 25.0
    forbidden = np.where(rng.random(vocab) < 0.9, -np.inf, normal)
    nearly_all_forbidden = np.full(vocab, -np.inf)
    nearly_all_forbidden[[3, vocab // 2, vocab - 1]] = (0.0, 1.0, 1.0)
    return {
        "normal": normal,
        "peaked": peaked,
        "flat": rng.normal(0, 0.01, vocab),
        "uniform": np.full(vocab, -1.5),
        "ties": np.round(normal),
        "forbidden": forbidden,
        "nearly all forbidden": nearly_all_forbidden,
    }


def definition(logits: np.ndarray, temperature: float, top_p: float, top_k: int, min_p: float) -> np.ndarray:
    """Probabilities after all cuts, in float64: each cut measured on the whole scaled distribution, ties kept."""
    scaled = logits.astype(np.float64) / temperature
    full = np.exp(scaled - scaled.max())
    full /= full.sum()
    ascending, inverse, counts = np.unique(logits, return_inverse=True, return_counts=True)
    mass = np.bincount(inverse, full, len(ascending))
    mass_above = (mass[::-1].cumsum()[::-1] - mass)[inverse]
    number_above = (counts[::-1].cumsum()[::-1] - counts)[inverse]
    keep = full >= min_p * full.max()
    if top_p < 1:
        keep &= mass_above < top_p
    if top_k:
        keep &= number_above < top_k
    kept = np.where(keep, full, 0.0)
    return kept / kept.sum()


smallest_kept_compiled = jax.jit(smallest_kept)


def after_cuts(logits: np.ndarray, settings: list[tuple[float, float, int, float]]) -> np.ndarray:
    """Probabilities [B, V] that the rows' kept tokens have, from what the sampler computes in float32."""
    temperature, top_p, top_k, min_p = (np.array(column) for column in zip(*settings, strict=True))
    cuts = Cuts(jnp.asarray(top_p, jnp.float32), jnp.asarray(top_k, jnp.int32), jnp.asarray(min_p, jnp.float32))
    logits = logits.astype(np.float32)
    scaled = logits / temperature.astype(np.float32)[:, None]
    normaliser = jax.nn.logsumexp(jnp.asarray(scaled), axis=1)
    threshold = smallest_kept_compiled(jnp.asarray(logits), jnp.asarray(temperature, jnp.float32), normaliser, cuts)
    kept = np.where(logits >= np.asarray(threshold)[:, None], scaled.astype(np.float64), -np.inf)
    kept = np.exp(kept - kept.max(axis=1, keepdims=True))
    return kept / kept.sum(axis=1, keepdims=True)


def total_variation(logits: np.ndarray, settings: list[tuple[float, float, int, float]]) -> np.ndarray:
    """Of each row, between the sampler's distribution and the definition's."""
    found = after_cuts(logits, settings)
    logits = logits.astype(np.float32)
    wanted = np.stack([definition(row, *own) for row, own in zip(logits, settings, strict=True)])
    return 0.5 * np.abs(found - wanted).sum(axis=1)


# Within the window's blocks at once, a vocabulary that no block size divides, and one of a single window.
@pytest.mark.parametrize("vocab", [1300, 20_011, 200])
@pytest.mark.parametrize("kind", distributions(8, 0))
def test_every_combination_of_cuts_leaves_the_defined_distribution(vocab, kind):
    settings = SETTINGS if vocab < 10_000 else SETTINGS[::3]
    logits = distributions(vocab, seed=1)[kind]
    variation = total_variation(np.tile(logits, (len(settings), 1)), settings)
    worst = int(variation.argmax())
    assert variation.max() < 1e-5, settings[worst]


@pytest.mark.parametrize("vocab", [151_936, 128_256])
def test_large_vocabularies_leave_the_defined_distribution(vocab):
    settings = [(1.0, 0.95, 0, 0.0), (0.7, 0.9999, 1000, 0.0), (1.7, 0.5, 0, 0.02), (1.0, 1.0, 50, 0.1)]
    rows = [row for kind, row in distributions(vocab, seed=2).items() if kind != "uniform"]
    assert total_variation(np.repeat(rows, len(settings), axis=0), settings * len(rows)).max() < 1e-5


def test_rows_that_fit_the_window_and_rows_that_do_not_keep_their_own_thresholds():
    vocab = WINDOW * SMALL_BLOCK + 1
    kinds = distributions(vocab, seed=3)
    rows = np.stack([kinds["flat"] if i % 3 else kinds["peaked"] for i in range(23)])
    settings = [(1.0, 0.9 - 0.01 * i, 0, 0.0) for i in range(23)]
    assert total_variation(rows, settings).max() < 1e-5
    together = after_cuts(rows, settings)
    for i in (0, 1, 22):
        np.testing.assert_array_equal(together[i], after_cuts(rows[i : i + 1], settings[i : i + 1])[0])


def test_bisection_finds_what_the_window_finds():
    rng = np.random.default_rng(4)
    logits = jnp.asarray(rng.normal(0, 3.0, (64, 5000)), jnp.float32)
    temperature = jnp.asarray(rng.uniform(0.5, 1.5, 64), jnp.float32)
    normaliser = jax.nn.logsumexp(logits / temperature[:, None], axis=1)
    top_k = jnp.asarray(rng.integers(1, WINDOW, 64), jnp.int32)
    cuts = Cuts(jnp.asarray(rng.uniform(0.1, 0.8, 64), jnp.float32), top_k, jnp.zeros(64))
    by_window = smallest_kept_compiled(logits, temperature, normaliser, cuts)
    by_bisection = jax.jit(bisect)(logits, temperature, normaliser, cuts, logits.max(axis=1))
    np.testing.assert_array_equal(by_window, by_bisection)


def test_cuts_that_are_off_keep_every_token():
    logits = jnp.asarray(np.random.default_rng(5).normal(size=(2, 900)), jnp.float32)
    off = Cuts(jnp.ones(2), jnp.zeros(2, jnp.int32), jnp.zeros(2))
    threshold = smallest_kept_compiled(logits, jnp.ones(2), jax.nn.logsumexp(logits, axis=1), off)
    assert np.isneginf(threshold).all()
