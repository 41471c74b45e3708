# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import batch_sharding
from grpo_jax.sampling.cuts import WINDOW, Cuts
from grpo_jax.sampling.token_choice import BLOCK, Choice, choose, padded_vocab
from tests.sampling.test_cuts import definition

VOCAB = 1300  # two full blocks and a padded one


choose_compiled = jax.jit(choose)


def draw(
    logits: np.ndarray,
    num_draws: int,
    *,
    temperature: float = 1.0,
    cuts: tuple[float, int, float] | None = None,
    seed: int = 7,
) -> Choice:
    batch = jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (num_draws, len(logits)))
    rows = None
    if cuts is not None:
        top_p, top_k, min_p = cuts
        rows = Cuts(
            jnp.full(num_draws, top_p, jnp.float32),
            jnp.full(num_draws, top_k, jnp.int32),
            jnp.full(num_draws, min_p, jnp.float32),
        )
    keys = jax.random.split(jax.random.key(seed), num_draws)
    return choose_compiled(batch, jnp.full(num_draws, temperature, jnp.float32), keys, rows)


ALL_CUTS = [
    (1.0, 0, 0.0),
    (0.9, 0, 0.0),
    (0.3, 0, 0.0),
    (1.0, 20, 0.0),
    (1.0, 1, 0.0),
    (1.0, 0, 0.05),
    (0.9, 20, 0.0),
    (0.9, 0, 0.05),
    (1.0, 20, 0.05),
    (0.8, 600, 0.01),
    (0.999, 1200, 0.0),
    (1.0, 100_000, 0.0),
    (0.9999999, 0, 0.0),
    (0.9999999, 100_000, 0.05),
]


@pytest.mark.parametrize("cuts", ALL_CUTS)
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6])
def test_logprobs_and_support_equal_a_sort_in_float64(cuts, temperature):
    logits = np.random.default_rng(3).normal(0, 2.5, VOCAB).astype(np.float32)
    expected = definition(logits, temperature, *cuts)
    uncut = definition(logits, temperature, 1.0, 0, 0.0)
    # The normaliser after the cuts pins the set of kept tokens; the draws only have to show that no other is chosen.
    choice = draw(logits, 1000, temperature=temperature, cuts=cuts)
    tokens = np.asarray(choice.token)
    assert (expected[tokens] > 0).all(), "a token outside the cuts was drawn"
    np.testing.assert_allclose(np.exp(choice.truncated_logprob), expected[tokens], rtol=1e-5)
    np.testing.assert_allclose(np.exp(choice.logprob), uncut[tokens], rtol=1e-5)


# Few tokens remain after the cuts, so that fewer draws test each of them as sharply.
@pytest.mark.parametrize(("cuts", "num_batches"), [(None, 5), ((0.9, 40, 0.0), 1)])
def test_draws_follow_the_distribution(cuts, num_batches):
    logits = np.random.default_rng(5).normal(0, 2.0, VOCAB).astype(np.float32)
    top_p, top_k, min_p = cuts or (1.0, 0, 0.0)
    expected = definition(logits, 1.0, top_p, top_k, min_p)
    tokens = np.concatenate([draw(logits, 20_000, cuts=cuts, seed=seed).token for seed in range(num_batches)])
    observed, wanted = np.bincount(tokens, minlength=VOCAB), expected * len(tokens)
    common = wanted >= 5
    assert_likely(observed[common], wanted[common])
    starts = np.arange(0, VOCAB, BLOCK)
    assert_likely(np.add.reduceat(observed, starts), np.add.reduceat(wanted, starts))


def assert_likely(observed: np.ndarray, wanted: np.ndarray) -> None:
    """Chi-square test, six standard deviations wide."""
    chi_square = ((observed - wanted) ** 2 / wanted).sum()
    degrees = len(wanted) - 1
    assert chi_square < degrees + 6 * np.sqrt(2 * degrees)


def test_rows_keep_their_own_settings():
    logits = np.random.default_rng(1).normal(0, 1.0, (3, VOCAB)).astype(np.float32)
    cuts = Cuts(jnp.array([1.0, 0.5, 1.0]), jnp.array([1, 0, 0]), jnp.array([0.0, 0.0, 0.0]))
    choice = choose_compiled(
        jnp.asarray(logits), jnp.array([1.0, 1.0, 0.0]), jax.random.split(jax.random.key(0), 3), cuts
    )
    assert int(choice.token[0]) == logits[0].argmax()
    assert float(choice.truncated_logprob[0]) == pytest.approx(0.0, abs=1e-6)
    assert int(choice.token[2]) == logits[2].argmax()


def test_greedy_takes_the_first_of_equal_logits_across_blocks():
    logits = np.zeros(VOCAB, np.float32)
    logits[[BLOCK - 1, BLOCK + 3, 2 * BLOCK]] = 4.0
    assert set(np.asarray(draw(logits, 1000, temperature=0.0).token)) == {BLOCK - 1}


def test_forbidden_tokens_are_never_drawn():
    logits = np.full(VOCAB, -np.inf, np.float32)
    logits[[10, 700]] = [0.0, 1.0]
    assert set(np.asarray(draw(logits, 1000).token)) == {10, 700}
    assert set(np.asarray(draw(logits, 1000, cuts=(0.5, 0, 0.0)).token)) == {700}


# Rows of a nucleus within the window and beyond it, forbidden tokens, greedy rows, and rows without cuts.
def mixed_rows(num_rows: int, vocab: int) -> tuple[np.ndarray, np.ndarray, Cuts]:
    rng = np.random.default_rng(9)
    logits = (rng.normal(0, 1, (num_rows, vocab)) * np.where(np.arange(num_rows) % 2, 0.1, 4.0)[:, None]).astype("f4")
    logits[:, rng.random(vocab) < 0.1] = -np.inf
    temperature = np.where(np.arange(num_rows) % 5 == 4, 0.0, 0.9).astype(np.float32)
    cuts = Cuts(
        jnp.where(jnp.arange(num_rows) % 3 > 0, 0.9, 1.0),
        jnp.where(jnp.arange(num_rows) % 4 == 3, 3 * WINDOW, 0),
        jnp.where(jnp.arange(num_rows) % 7 == 6, 0.05, 0.0),
    )
    return logits, temperature, cuts


@pytest.mark.parametrize("with_cuts", [False, True])
@pytest.mark.parametrize(("data", "tensor"), [(1, 8), (2, 4), (8, 1), (1, 2)])
def test_split_rows_and_vocabulary_change_no_token_and_never_cross_devices_whole(data, tensor, with_cuts):
    num_rows, vocab = 32, 30_011
    logits, temperature, cuts = mixed_rows(num_rows, vocab)
    keys = jax.random.split(jax.random.key(3), num_rows)
    whole = choose_compiled(logits, temperature, keys, cuts if with_cuts else None)
    mesh = make_mesh(ParallelConfig(data=data, fsdp=1, tensor=tensor), jax.devices()[: data * tensor])
    padding = padded_vocab(vocab, mesh) - vocab
    split_over = NamedSharding(mesh, PartitionSpec(("data", "fsdp"), "tensor"))
    arguments = (
        # What the padding holds must not matter.
        jax.device_put(np.pad(logits, ((0, 0), (0, padding)), constant_values=99.0), split_over),
        *jax.device_put((temperature, keys, cuts if with_cuts else None), batch_sharding(mesh)),
    )
    program = jax.jit(partial(choose, mesh=mesh, vocab_size=vocab)).lower(*arguments).compile()
    found = program(*arguments)
    np.testing.assert_array_equal(found.token, whole.token)
    np.testing.assert_allclose(found.logprob, whole.logprob, atol=1e-5)
    np.testing.assert_allclose(found.truncated_logprob, whole.truncated_logprob, atol=1e-5)
    exchanged = re.findall(r"= \w+\[([\d,]*)\]\S* (?:all-|collective-|reduce-scatter)", program.as_text() or "")
    assert bool(exchanged) == (tensor > 1)
    rows_here = num_rows // data
    for shape in exchanged:
        size = np.prod([int(dim) for dim in shape.split(",") if dim])
        assert size <= rows_here * max(BLOCK, WINDOW * tensor), shape


def test_vocabulary_that_splits_blocks_is_refused():
    mesh = make_mesh(ParallelConfig(data=1, fsdp=1, tensor=2), jax.devices()[:2])
    with pytest.raises(ValueError, match="pad them to 2048"):
        choose(jnp.zeros((1, VOCAB)), jnp.ones(1), jax.random.split(jax.random.key(0), 1), None, mesh=mesh)
