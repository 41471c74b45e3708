# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the output head says about tokens, computed on tiles of some tokens by some ids of the vocabulary.

A tile's largest logit, sum of exponentials and weighted sum are folded into running ones, so that one pass gives
normaliser and entropy; the backward pass recomputes a tile's logits and turns them into their gradient in place. Ids
are the inner loop: what is carried from tile to tile is then a row a token, not the head's gradient.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Int32

TILE_BYTES = 32 * 2**20
"""Logits of a tile in float32, on one device. Two of them at most exist at once: logits and their gradient."""

MAX_TILE_TOKENS = 4096
"""Tokens of a tile at most: with more, the few ids that are left for a tile make its products narrow."""

FORBIDDEN = -1e30
"""Logit of an id that cannot be chosen: finite, so that its share of the entropy is 0 and not 0 x inf."""


class Tokens(NamedTuple):
    """Tokens of one device, or of one tile; `choices` is None where every id can be chosen."""

    hidden: Float[Array, "n D"]
    targets: Int32[Array, " n"]
    temperature: Float32[Array, " n"]
    choices: Int32[Array, " n"] | None


class Sums(NamedTuple):
    """What the ids so far add up to; `total` and `weighted` are relative to `largest`."""

    largest: Float32[Array, " n"]
    total: Float32[Array, " n"]
    weighted: Float32[Array, " n"]
    picked: Float32[Array, " n"]


class Known(NamedTuple):
    """What the backward pass knows of each token: results of the forward pass, and their cotangents."""

    normaliser: Float32[Array, " n"]
    entropy: Float32[Array, " n"]
    by_logprob: Float32[Array, " n"]
    by_entropy: Float32[Array, " n"] | None


def tile_shape(num_tokens: int, vocab_size: int, tile_bytes: int = TILE_BYTES) -> tuple[int, int]:
    """Tokens and ids of one tile: as many tokens as are useful, then the ids that the bytes leave room for."""
    logits = max(1, tile_bytes // 4)
    most = max(1, min(num_tokens, MAX_TILE_TOKENS, logits))
    tokens = -(-num_tokens // -(-num_tokens // most))
    ids = max(1, min(vocab_size, logits // tokens))
    even = -(-vocab_size // -(-vocab_size // ids))
    return tokens, min(ids, -(-even // 128) * 128)


def sums_of(tokens: Tokens, head: Float[Array, "V D"], first: Array | int, tile_bytes: int) -> Sums:
    """Sums over the ids of a head, or of a part of one whose first row is id `first`."""
    num_tokens, num_ids = tile_shape(tokens.targets.size, head.shape[0], tile_bytes)

    def one(tile: Tokens) -> Sums:
        return _fold_ids(tile, head, first, num_ids)

    if num_tokens == tokens.targets.size:
        return one(tokens)
    sums = jax.lax.map(one, _tokens_in_tiles(tokens, num_tokens))
    return jax.tree.map(lambda values: values.reshape(-1)[: tokens.targets.size], sums)


def _fold_ids(tokens: Tokens, head: Array, first: Array | int, num_ids: int) -> Sums:
    num_tokens, vocab_size = tokens.targets.size, head.shape[0]

    def fold(tile: Array | int, sums: Sums) -> Sums:
        logits, start = _logits(tokens, head, first, tile, num_ids)
        largest = jnp.maximum(sums.largest, logits.max(axis=-1))
        exponentials = jnp.exp(logits - largest[:, None])
        own = tokens.targets - first - start
        picked = jnp.take_along_axis(logits, jnp.clip(own, 0, num_ids - 1)[:, None], axis=-1)[:, 0]
        # Where the last tile reaches back over ids of the one before, those are forbidden in it.
        here = (own >= tile * num_ids - start) & (own < num_ids)
        before = rebased(sums, largest)
        return Sums(
            largest,
            before.total + exponentials.sum(axis=-1),
            before.weighted + (exponentials * (logits - largest[:, None])).sum(axis=-1),
            before.picked + jnp.where(here, picked, 0.0),
        )

    zeros = jnp.zeros(num_tokens, jnp.float32)
    return _for_each(-(-vocab_size // num_ids), fold, Sums(zeros + FORBIDDEN, zeros, zeros, zeros))


def gradients_of(
    tokens: Tokens, known: Known, head: Array, first: Array | int, tile_bytes: int
) -> tuple[Float32[Array, "n D"], Float[Array, "V D"]]:
    """Gradients by this device's tokens of their states, and of its part of the head."""
    vocab_size, width = head.shape
    num_tokens, num_ids = tile_shape(tokens.targets.size, vocab_size, tile_bytes)
    num_tiles, whole = -(-tokens.targets.size // num_tokens), vocab_size % num_ids == 0

    def of_tokens(by_head: Array, tile_of_tokens: tuple[Tokens, Known]) -> tuple[Array, Array]:
        tokens, known = tile_of_tokens
        states = tokens.hidden

        def add(tile: Array | int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            by_hidden, by_head = carry
            logits, start = _logits(tokens, head, first, tile, num_ids)
            by_logits = _by_logits(logits, tokens.targets - first - start, tokens.temperature, known)
            by_logits = by_logits.astype(states.dtype)
            rows = _rows_of(head, start, num_ids)
            by_hidden += jnp.einsum("tv,vd->td", by_logits, rows, preferred_element_type=jnp.float32)
            own = jnp.einsum("tv,td->vd", by_logits, states, preferred_element_type=jnp.float32).astype(by_head.dtype)
            if num_tiles > 1 or not whole:
                own += _rows_of(by_head, start, num_ids)
            return by_hidden, jax.lax.dynamic_update_slice_in_dim(by_head, own, start, axis=0)

        start = jnp.zeros((tokens.targets.size, width), jnp.float32), by_head
        by_hidden, by_head = _for_each(-(-vocab_size // num_ids), add, start)
        return by_head, by_hidden

    # One tile of tokens writes every row once, so nothing is summed up in the head's own dtype.
    by_head = jnp.zeros(head.shape, head.dtype if num_tiles == 1 else jnp.float32)
    if num_tiles == 1:
        by_head, by_hidden = of_tokens(by_head, (tokens, known))
        return by_hidden, by_head
    by_head, by_hidden = jax.lax.scan(
        of_tokens, by_head, (_tokens_in_tiles(tokens, num_tokens), _in_tiles(known, num_tokens))
    )
    return by_hidden.reshape(-1, width)[: tokens.targets.size], by_head


def _by_logits(logits: Array, own: Array, temperature: Array, known: Known) -> Float32[Array, "n v"]:
    """Gradient of a tile's logits before the temperature; `own` is each target's column, in the tile or not."""
    log_share = logits - known.normaliser[:, None]
    factor = known.by_logprob[:, None]
    if known.by_entropy is not None:
        factor = factor + known.by_entropy[:, None] * (log_share + known.entropy[:, None])
    of_target = jnp.where(jnp.arange(logits.shape[1]) == own[:, None], known.by_logprob[:, None], 0.0)
    # A forbidden target has no gradient: in the tile that it belongs to it is none.
    gradient = jnp.where(logits > FORBIDDEN, of_target - jnp.exp(log_share) * factor, 0.0)
    return gradient / temperature[:, None]


def _logits(
    tokens: Tokens, head: Array, first: Array | int, tile: Array | int, num_ids: int
) -> tuple[Float32[Array, "n v"], Array | int]:
    """Logits of a tile and its first row of the head; the last tile is moved back to end with the head."""
    vocab_size = head.shape[0]
    whole = vocab_size % num_ids == 0
    start = tile * num_ids if whole else jnp.minimum(tile * num_ids, vocab_size - num_ids)
    rows = _rows_of(head, start, num_ids)
    logits = jnp.einsum("td,vd->tv", tokens.hidden, rows, preferred_element_type=jnp.float32)
    logits = logits / tokens.temperature[:, None]
    column = jnp.arange(num_ids)
    if not whole:
        logits = jnp.where(column >= tile * num_ids - start, logits, FORBIDDEN)
    if tokens.choices is not None:
        logits = jnp.where(first + start + column < tokens.choices[:, None], logits, FORBIDDEN)
    return logits, start


def _rows_of(table: Array, start: Array | int, num_rows: int) -> Array:
    if num_rows == table.shape[0]:
        return table
    return jax.lax.dynamic_slice_in_dim(table, start, num_rows)


def rebased(sums: Sums, largest: Float32[Array, " n"]) -> Sums:
    """The same sums relative to another largest logit, not below their own."""
    lower = sums.largest - largest
    factor = jnp.exp(lower)
    # `lower` is enormous where nothing was allowed so far, and the factor 0: the product stays 0.
    weighted = factor * (sums.weighted + sums.total * jnp.maximum(lower, FORBIDDEN))
    return Sums(largest, sums.total * factor, weighted, sums.picked)


def _for_each(num_tiles: int, body: Callable[[Any, Any], Any], start: Any) -> Any:
    return body(0, start) if num_tiles == 1 else jax.lax.fori_loop(0, num_tiles, body, start)


def _in_tiles(arrays: Any, num_tokens: int, fill: int = 0) -> Any:
    """Every array [n, ..] as [tiles, tokens of a tile, ..], the last tile filled up."""

    def tiles(values: Array) -> Array:
        missing = -values.shape[0] % num_tokens
        padded = jnp.pad(values, ((0, missing),) + ((0, 0),) * (values.ndim - 1), constant_values=fill)
        return padded.reshape(-1, num_tokens, *values.shape[1:])

    return jax.tree.map(tiles, arrays)


def _tokens_in_tiles(tokens: Tokens, num_tokens: int) -> Tokens:
    """Tokens that fill the last tile have state 0 and temperature 1, so that their logits are 0 and finite."""
    return _in_tiles(tokens, num_tokens)._replace(temperature=_in_tiles(tokens.temperature, num_tokens, fill=1))
