# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing the next token of each row: an exact two-level draw, with top-k, top-p and min-p cuts.

Two levels: the vocabulary is cut into blocks; a block is drawn by its log-sum-exp, then a token within it. The
Gumbel-max trick (https://arxiv.org/abs/1411.0030) makes each draw exact, so the product is, at V/block + block random
numbers a row instead of V, and the normaliser of the log-probability comes for free.

All cuts are measured on the temperature-scaled distribution over the whole vocabulary and then intersected, so their
order does not matter; tokens that tie with the last one kept are kept too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, Key, UInt32

BLOCK = 512
"""Tokens of a block; near sqrt(V) for vocabularies of 50k to 250k, and a multiple of every vector width."""


class Cuts(NamedTuple):
    """Settings of each row that limit which tokens can be drawn.

    Attributes:
        top_p: Nucleus mass in (0, 1]; 1 is off.
        top_k: Number of tokens; 0 is off.
        min_p: Fraction of the largest probability in [0, 1); 0 is off.
    """

    top_p: Float32[Array, " B"]
    top_k: Int32[Array, " B"]
    min_p: Float32[Array, " B"]


class Choice(NamedTuple):
    """Token of each row, its log-probability before and after the cuts."""

    token: Int32[Array, " B"]
    logprob: Float32[Array, " B"]
    truncated_logprob: Float32[Array, " B"]


def choose(
    logits: Float32[Array, "B V"],
    temperature: Float32[Array, " B"],
    keys: Key[Array, " B"],
    cuts: Cuts | None,
) -> Choice:
    """Draw one token a row; rows with temperature 0 take the most probable one.

    Args:
        logits: Unscaled scores; -inf forbids a token.
        temperature: At least 0. Log-probabilities are those of logits / temperature (of the logits where it is 0).
        keys: One key a row, used for nothing else.
        cuts: None where every row's cuts are off, which then cost nothing.
    """
    greedy = (temperature == 0.0)[:, None]
    scaled = logits / jnp.where(greedy, 1.0, temperature[:, None])
    full_normaliser = jax.nn.logsumexp(_blocks(scaled), axis=(1, 2))
    kept = scaled
    if cuts is not None:
        threshold = _threshold(scaled, full_normaliser, cuts)
        kept = jnp.where(scaled >= threshold[:, None], scaled, -jnp.inf)
    blocks = _blocks(kept)
    num_blocks = blocks.shape[1]
    gumbel = jax.vmap(lambda key: jax.random.gumbel(key, (num_blocks + BLOCK,), jnp.float32))(keys)
    noise = jnp.where(greedy, 0.0, gumbel)
    weights = jax.nn.logsumexp(blocks, axis=2)
    block_scores = jnp.where(greedy, blocks.max(axis=2), weights) + noise[:, :num_blocks]
    block = jnp.argmax(block_scores, axis=1)
    inside = jnp.take_along_axis(blocks, block[:, None, None], axis=1)[:, 0]
    offset = jnp.argmax(inside + noise[:, num_blocks:], axis=1)
    score = jnp.take_along_axis(inside, offset[:, None], axis=1)[:, 0]
    logprob = score - full_normaliser
    truncated = logprob if cuts is None else score - jax.nn.logsumexp(weights, axis=1)
    return Choice((block * BLOCK + offset).astype(jnp.int32), logprob, truncated)


def _blocks(scores: Float32[Array, "B V"]) -> Float32[Array, "B blocks block"]:
    missing = -scores.shape[1] % BLOCK
    padded = jnp.pad(scores, ((0, 0), (0, missing)), constant_values=-jnp.inf) if missing else scores
    return padded.reshape(scores.shape[0], -1, BLOCK)


def _threshold(scaled: Float32[Array, "B V"], normaliser: Float32[Array, " B"], cuts: Cuts) -> Float32[Array, " B"]:
    """Smallest scaled logit that every cut of the row keeps.

    A token is kept by top-p if the tokens above it hold less than top_p of the mass, and by top-k if fewer than top_k
    tokens are above it. Both are monotone in the token's logit, so one bisection over the ordered float32 values finds
    the exact threshold in 32 passes, without sorting the vocabulary.
    """
    probabilities = jnp.exp(scaled - normaliser[:, None])
    top_p = jnp.where(cuts.top_p < 1.0, cuts.top_p, 2.0)
    top_k = jnp.where(cuts.top_k > 0, cuts.top_k, scaled.shape[1] + 1)
    largest = scaled.max(axis=1)

    def keeps(value: Float32[Array, " B"]) -> Bool[Array, " B"]:
        above = scaled > value[:, None]
        mass = jnp.where(above, probabilities, 0.0).sum(axis=1)
        return (mass < top_p) & (above.sum(axis=1) < top_k)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds  # `high` keeps, and so does everything above it; the answer is in [low, high]
        middle = low + (high - low) // 2
        kept = keeps(_ordered_to_float(middle))
        return jnp.where(kept, low, middle + 1), jnp.where(kept, middle, high)

    # Integers below the one of -inf are NaNs, which no token exceeds: cuts that keep all tokens must not end there.
    lowest = _float_to_ordered(jnp.full_like(largest, -jnp.inf))
    _, found = jax.lax.fori_loop(0, 32, halve, (lowest, _float_to_ordered(largest)))
    min_p = jnp.where(cuts.min_p > 0.0, largest + jnp.log(cuts.min_p), -jnp.inf)
    off = (cuts.top_p >= 1.0) & (cuts.top_k <= 0)
    return jnp.maximum(jnp.where(off, -jnp.inf, _ordered_to_float(found)), min_p)


def _float_to_ordered(values: Float32[Array, " B"]) -> UInt32[Array, " B"]:
    """Unsigned integers in the order of the floats: negative values have their bits flipped, others the sign bit."""
    bits = jax.lax.bitcast_convert_type(values, jnp.uint32)
    return jnp.where(bits >> 31 == 1, ~bits, bits | jnp.uint32(1 << 31))


def _ordered_to_float(ordered: UInt32[Array, " B"]) -> Float32[Array, " B"]:
    bits = jnp.where(ordered >> 31 == 1, ordered & jnp.uint32((1 << 31) - 1), ~ordered)
    return jax.lax.bitcast_convert_type(bits, jnp.float32)
