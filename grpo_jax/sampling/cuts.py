# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which tokens top-p, top-k and min-p leave: the smallest logit of each row that every cut of the row keeps.

All cuts are measured on the temperature-scaled distribution over the whole vocabulary and then intersected, so their
order does not matter. With p the probability of a token,

    top-p keeps it if the tokens above it hold less than top_p of the mass
    top-k keeps it if fewer than top_k tokens are above it
    min-p keeps it if p >= min_p * max(p)

so tokens that tie with the last one kept are kept too. "Above" compares logits as they came: scaling may round two
different ones to the same value. Masses are float32 sums: a token whose mass above equals top_p to within 1e-6 may fall
on either side.

The 256 largest logits of a row, with the normaliser of all of them, nearly always settle the matter. The rows where
they do not (a flat distribution under top-p) are settled by bisection over the whole row, a few rows at a time; where
there is no such row, no bisection runs.

Where the vocabulary is split over devices, each holds a run of it and they exchange their 256 largest logits, and for
bisected rows the masses of blocks. The sums are formed in one order, so the split does not show in the result.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, UInt32

WINDOW = 256
"""Logits of a row that are looked at in order."""
SMALL_BLOCK = 64
"""Neighbours of which the largest stands for all: the window's tokens are in the WINDOW best of these blocks."""
MASS_BLOCK = 512
"""Tokens whose mass is summed before blocks are: one running sum over the vocabulary would lose the last digits."""
BISECTED_ROWS = 4
"""Rows of a device that are bisected together."""


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


class Split(NamedTuple):
    """Mesh axes of a program that runs on each device's part (under `jax.shard_map`); without any, of a whole one.

    Attributes:
        vocab: Over which the vocabulary is split.
        rows: Over which the rows are.
    """

    vocab: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    def gather(self, values: Float32[Array, "B part"]) -> Float32[Array, "B all"]:
        """What each part of the vocabulary gave, in order."""
        return jax.lax.all_gather(values, self.vocab, axis=1, tiled=True) if self.vocab else values

    def total(self, values: Array) -> Array:
        """Sum over the parts of the vocabulary."""
        return jax.lax.psum(values, self.vocab) if self.vocab else values

    def agreed(self, flag: Bool[Array, ""]) -> Bool[Array, ""]:
        """Whether the flag is up anywhere that work must be shared: devices with a common row take the same branches.

        Rows on other devices differ, so without a split of the vocabulary each device decides alone.
        """
        return jax.lax.pmax(flag.astype(jnp.int32), self.rows) > 0 if self.vocab and self.rows else flag


WHOLE = Split()
"""Nothing is split."""


def smallest_kept(
    logits: Float32[Array, "B V"],
    temperature: Float32[Array, " B"],
    normaliser: Float32[Array, " B"],
    cuts: Cuts,
    split: Split = WHOLE,
) -> Float32[Array, " B"]:
    """Smallest logit of each row that its cuts keep; -inf where they are off.

    Args:
        logits: Unscaled scores; -inf forbids a token. Where the vocabulary is split, a multiple of 512 on each device.
        temperature: Above 0.
        normaliser: Log-sum-exp of logits / temperature over the whole vocabulary.
        cuts: Of each row.
        split: How the arguments are split over devices.
    """
    largest = split.gather(logits.max(axis=1, keepdims=True)).max(axis=1)
    # log(0) = -inf: without min-p nothing is too far below the largest.
    by_min_p = largest + temperature * jnp.log(cuts.min_p)
    ranked = (cuts.top_p < 1.0) | (cuts.top_k > 0)

    def by_rank() -> Float32[Array, " B"]:
        found, spills = _from_window(logits, temperature, normaliser, cuts, by_min_p, split)
        return _bisect_some(logits, temperature, normaliser, cuts, found, ranked & spills, split)

    rank_threshold = jax.lax.cond(split.agreed(ranked.any()), by_rank, lambda: jnp.full_like(by_min_p, -jnp.inf))
    return jnp.maximum(jnp.where(ranked, rank_threshold, -jnp.inf), by_min_p)


def _from_window(
    logits: Float32[Array, "B V"],
    temperature: Float32[Array, " B"],
    normaliser: Float32[Array, " B"],
    cuts: Cuts,
    by_min_p: Float32[Array, " B"],
    split: Split,
) -> tuple[Float32[Array, " B"], Bool[Array, " B"]]:
    """Threshold by top-p and top-k as far as the window shows it, and the rows where it may lie below the window."""
    window = split.gather(_largest(logits))
    window = _top(window, min(WINDOW, window.shape[1])) if split.vocab else window
    probabilities = jnp.exp(window / temperature[:, None] - normaliser[:, None])
    up_to = jnp.cumsum(probabilities, axis=1)
    above = up_to - probabilities
    top_p, top_k = _off_as_unbounded(cuts)
    # The first token of equal ones has the same mass above it as all of them, so position and value agree.
    kept = (above < top_p[:, None]) & (jnp.arange(window.shape[1]) < top_k[:, None])
    last = jnp.maximum(kept.sum(axis=1) - 1, 0)
    found = jnp.take_along_axis(window, last[:, None], axis=1)[:, 0]
    settled = ~kept[:, -1] | (up_to[:, -1] >= top_p) | (top_k <= window.shape[1])
    return found, ~settled & (by_min_p < window[:, -1])


def _largest(logits: Float32[Array, "B V"]) -> Float32[Array, "B window"]:
    """The largest logits in descending order, exact."""
    num_rows, vocab = logits.shape
    if vocab <= WINDOW * SMALL_BLOCK:
        return _top(logits, min(WINDOW, vocab))
    blocks = _blocks(logits, SMALL_BLOCK, -jnp.inf)
    _, best = jax.lax.top_k(blocks.max(axis=2), WINDOW)
    candidates = jnp.take_along_axis(blocks, best[:, :, None], axis=1)
    return _top(candidates.reshape(num_rows, -1), WINDOW)


def _top(values: Float32[Array, "B V"], num: int) -> Float32[Array, "B num"]:
    # Without the barrier a slice taken of the result is merged into it, and XLA then sorts whole rows.
    return jax.lax.optimization_barrier(jax.lax.top_k(values, num)[0])


def _bisect_some(
    logits: Float32[Array, "B V"],
    temperature: Float32[Array, " B"],
    normaliser: Float32[Array, " B"],
    cuts: Cuts,
    found: Float32[Array, " B"],
    spills: Bool[Array, " B"],
    split: Split,
) -> Float32[Array, " B"]:
    """`found`, with the threshold of the spilling rows bisected, a few rows at a time."""
    num_rows = min(BISECTED_ROWS, len(found))

    def settle(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        found, spills = carry
        # Spilling rows come first; what else is among the chosen is left as it is.
        chosen, rows = jax.lax.top_k(spills.astype(jnp.int32), num_rows)
        of_rows = Cuts(*(leaf[rows] for leaf in cuts))
        bisected = bisect(logits[rows], temperature[rows], normaliser[rows], of_rows, found[rows], split)
        return found.at[rows].set(jnp.where(chosen > 0, bisected, found[rows])), spills.at[rows].set(False)

    return jax.lax.while_loop(lambda carry: split.agreed(carry[1].any()), settle, (found, spills))[0]


def bisect(
    logits: Float32[Array, "B V"],
    temperature: Float32[Array, " B"],
    normaliser: Float32[Array, " B"],
    cuts: Cuts,
    kept: Float32[Array, " B"],
    split: Split = WHOLE,
) -> Float32[Array, " B"]:
    """Smallest logit that top-p and top-k keep, by halving the ordered float32 values, without sorting.

    Args:
        logits: Unscaled scores.
        temperature: Above 0.
        normaliser: Log-sum-exp of logits / temperature over the whole vocabulary.
        cuts: Of each row; min-p is not looked at.
        kept: A logit of each row that is known to be kept.
        split: How the arguments are split over devices.
    """
    blocks = _blocks(logits, MASS_BLOCK, -jnp.inf)
    probabilities = jnp.exp(blocks / temperature[:, None, None] - normaliser[:, None, None])
    top_p, top_k = _off_as_unbounded(cuts)

    def keeps(value: Float32[Array, " B"]) -> Bool[Array, " B"]:
        above = blocks > value[:, None, None]
        # The barrier keeps the two sums from being made one.
        by_block = jax.lax.optimization_barrier(jnp.where(above, probabilities, 0.0).sum(axis=2))
        mass = split.gather(by_block).sum(axis=1)
        return (mass < top_p) & (split.total(above.sum(axis=(1, 2))) < top_k)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds  # `high` is kept, and so is everything above it; the answer is in [low, high]
        middle = low + (high - low) // 2
        is_kept = keeps(_ordered_to_float(middle))
        return jnp.where(is_kept, low, middle + 1), jnp.where(is_kept, middle, high)

    # Integers below the one of -inf are NaNs, which no token exceeds: cuts that keep all tokens must not end there.
    lowest = _float_to_ordered(jnp.full_like(kept, -jnp.inf))
    _, found = jax.lax.fori_loop(0, 32, halve, (lowest, _float_to_ordered(kept)))
    return _ordered_to_float(found)


def _off_as_unbounded(cuts: Cuts) -> tuple[Float32[Array, " B"], Int32[Array, " B"]]:
    """Top-p and top-k with bounds that no mass and no rank reaches where they are off."""
    return (
        jnp.where(cuts.top_p < 1.0, cuts.top_p, jnp.inf),
        jnp.where(cuts.top_k > 0, cuts.top_k, jnp.iinfo(jnp.int32).max),
    )


def _blocks(values: Float32[Array, "B V"], size: int, fill: float) -> Float32[Array, "B blocks block"]:
    missing = -values.shape[1] % size
    padded = jnp.pad(values, ((0, 0), (0, missing)), constant_values=fill) if missing else values
    return padded.reshape(values.shape[0], -1, size)


def _float_to_ordered(values: Float32[Array, " B"]) -> UInt32[Array, " B"]:
    """Unsigned integers in the order of the floats: negative values have their bits flipped, others the sign bit."""
    bits = jax.lax.bitcast_convert_type(values, jnp.uint32)
    return jnp.where(bits >> 31 == 1, ~bits, bits | jnp.uint32(1 << 31))


def _ordered_to_float(ordered: UInt32[Array, " B"]) -> Float32[Array, " B"]:
    bits = jnp.where(ordered >> 31 == 1, ordered & jnp.uint32((1 << 31) - 1), ~ordered)
    return jax.lax.bitcast_convert_type(bits, jnp.float32)
