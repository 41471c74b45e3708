# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of training rows by parts: responses to their prompt and, each, to itself, under one softmax.

Both parts are computed for themselves, tile by tile, and merged by their largest scores and sums; the scores of prompt
and responses never lie side by side. The backward pass gives every part the merged result and log-sum-exp, from which
its own share of the gradient follows (as in https://arxiv.org/abs/2310.01889), so no weights are kept. Tiles bound what
is held at once, and those that no query of a tile can see are skipped, by the causal order or a sliding window.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float, Int, Int32

from grpo_jax.models.attention import MASKED, causal_mask
from grpo_jax.models.attention_parts import AttentionPart, attend_part, join_parts

TILE = 512
"""Queries and keys of one tile; rows that are not longer are one tile."""

KEPT_NAME = "attention"
"""Name of the attention's result for rematerialisation policies."""

NO_WINDOW = 2**30
"""Window of a layer that sees everything, where sliding and global layers share a program."""

Prompt = tuple[Float[Array, "B P K H"], Float[Array, "B P K H"], Int[Array, " B"]]
"""Keys, values and real tokens of each row's prompt."""

_EMPTY, _NOBODY = -1, -2


class Keys(NamedTuple):
    """Keys that queries [B, K, J, G, T, H] may see: of their own line, or of the row's prompt.

    Attributes:
        k: With a dim J where every line has its own.
        v: As `k`.
        positions: Of each key; the second dim is 1 where lines share the keys.
        segments: A key is seen by queries of the same segment alone; -1 is padding.
        query_segments: Segments of the queries in the numbers of this part.
    """

    k: Float[Array, "B K *J S H"]
    v: Float[Array, "B K *J S H"]
    positions: Int32[Array, " B #J S"]
    segments: Int32[Array, " B #J S"]
    query_segments: Int32[Array, " B #J T"]


def attend_lines(
    q: Float[Array, "B J C N H"],
    k: Float[Array, "B J C K H"],
    v: Float[Array, "B J C K H"],
    positions: Int[Array, "B J C"],
    segments: Int[Array, "B J C"],
    scale: float,
    window: Int[Array, ""] | int | None,
    prompt: Prompt | None = None,
    tile: int = TILE,
) -> Float[Array, "B J C N H"]:
    """Attention of every token to the earlier ones of its segment and, where there is one, to its row's prompt.

    Keys seen by token 1 of response 0 (x) in a row of prompt p0 p1 and two lines, the first with two responses:

        p0 p1 | r0:0 r0:1 r0:2 r1:0 r1:1 | r2:0 r2:1
         x  x |   x    x    .    .    .  |   .    .

    Args:
        q: Queries, N = K times G of them a token.
        k: Keys.
        v: Values.
        positions: Of the tokens; they rise by one from token to token of a segment.
        segments: Number of the response that a token belongs to, -1 for padding, whose result is of no use.
        scale: Factor on the scores.
        window: Tokens that are seen, the own one included; None for all.
        prompt: Its positions count from 0.
        tile: Queries and keys of one tile at most.
    """
    num_rows, num_lines, num_tokens, _, head_size = q.shape
    num_kv_heads = k.shape[-2]
    grouped = (q * scale).reshape(num_rows, num_lines, num_tokens, num_kv_heads, -1, head_size)
    by_head = jnp.transpose(grouped, (0, 3, 1, 4, 2, 5))
    own = Keys(
        jnp.transpose(k, (0, 3, 1, 2, 4)),
        jnp.transpose(v, (0, 3, 1, 2, 4)),
        positions,
        segments,
        jnp.where(segments == _EMPTY, _NOBODY, segments),
    )
    parts = [own]
    if prompt is not None:
        prompt_k, prompt_v, lengths = prompt
        key_positions = jnp.arange(prompt_k.shape[1])
        real = jnp.where(key_positions < lengths[:, None], 0, _EMPTY)[:, None]
        shared = jnp.broadcast_to(key_positions, real.shape)
        by_row = [jnp.transpose(values, (0, 2, 1, 3)) for values in (prompt_k, prompt_v)]
        parts.append(Keys(by_row[0], by_row[1], shared, real, jnp.zeros_like(segments)))
    limit = None if window is None else jnp.asarray(window, jnp.int32)
    out: Any = _attend(by_head, tuple(parts), positions, limit, tile)
    return jnp.transpose(out, (0, 2, 4, 1, 3, 5)).reshape(q.shape)


class _Queries(NamedTuple):
    """Queries of one tile, with their segments in the numbers of every part."""

    q: Float[Array, "B K J G t H"]
    positions: Int32[Array, "B J t"]
    segments: tuple[Int32[Array, " B #J t"], ...]


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _attend(
    q: Float[Array, "B K J G T H"],
    parts: tuple[Keys, ...],
    positions: Int[Array, "B J T"],
    window: Int[Array, ""] | None,
    tile: int,
) -> Float[Array, "B K J G T H"]:
    return _forward(q, parts, positions, window, tile)[0]


def _forward(q: Array, parts: tuple[Keys, ...], positions: Array, window: Array | None, tile: int) -> tuple[Any, Any]:
    def of_queries(queries: _Queries) -> tuple[Array, Array]:
        def seen(keys: Keys, segments: Array) -> AttentionPart:
            visible = _visible(queries.positions, segments, keys, window)
            part = attend_part(_fold(queries.q, keys.k), keys.k, keys.v, _fold_mask(visible, queries.q, keys.k))
            shape = queries.q.shape
            return AttentionPart(part.out.reshape(shape), *(x.reshape(shape[:-1]) for x in part[1:]))

        found = []
        for keys, segments in zip(parts, queries.segments, strict=True):
            if keys.k.shape[-2] <= tile:
                found.append(seen(keys, segments))
                continue
            tiles = _key_tiles(keys, tile)
            zeros = jnp.zeros(queries.q.shape[:-1], jnp.float32)
            start = AttentionPart(jnp.zeros(queries.q.shape, jnp.float32), zeros + MASKED, zeros)

            def add(so_far: AttentionPart, own: Keys, segments: Array = segments) -> tuple[AttentionPart, None]:
                def join() -> AttentionPart:
                    return join_parts(so_far, seen(own, segments))

                visible = _visible(queries.positions, segments, own, window)
                return jax.lax.cond(visible.any(), join, lambda: so_far), None

            found.append(jax.lax.scan(add, start, tiles)[0])
        joint = join_parts(*found)
        total = jnp.where(joint.total > 0.0, joint.total, 1.0)
        return (joint.out / total[..., None]).astype(q.dtype), joint.largest + jnp.log(total)

    tiles = jax.lax.map(of_queries, _query_tiles(q, parts, positions, tile))
    out, normaliser = (_whole(values, 4, q.shape[4]) for values in tiles)
    out, normaliser = checkpoint_name(out, KEPT_NAME), checkpoint_name(normaliser, KEPT_NAME)
    return out, (q, parts, positions, window, out, normaliser)


def _backward(tile: int, kept: tuple[Any, ...], by_out: Array) -> tuple[Any, ...]:
    q, parts, positions, window, out, normaliser = kept
    # The softmax's own share, of all parts together.
    common = (by_out.astype(jnp.float32) * out.astype(jnp.float32)).sum(axis=-1)
    key_tiles = [_key_tiles(keys, tile) for keys in parts]
    zeros = [tuple(jnp.zeros(values.shape, jnp.float32) for values in (own.k, own.v)) for own in key_tiles]

    def of_queries(by_keys: Any, given: tuple[_Queries, Array, Array, Array]) -> tuple[Any, Array]:
        queries, normaliser, by_out, common = given
        by_q, updated = jnp.zeros(queries.q.shape, jnp.float32), []
        for tiles, by_part, segments in zip(key_tiles, by_keys, queries.segments, strict=True):

            def add(
                by_q: Array, own: tuple[Keys, Any], segments: Array = segments, only_tile: bool = tiles.k.shape[0] == 1
            ) -> tuple[Array, Any]:
                keys, so_far = own
                visible = _visible(queries.positions, segments, keys, window)

                def through() -> tuple[Array, Any]:
                    more, by_k, by_v = _gradients(queries.q, keys, visible, normaliser, by_out, common)
                    return by_q + more, (so_far[0] + by_k, so_far[1] + by_v)

                if only_tile:
                    return through()
                return jax.lax.cond(visible.any(), through, lambda: (by_q, so_far))

            by_q, by_part = jax.lax.scan(add, by_q, (tiles, by_part))
            updated.append(by_part)
        return updated, by_q.astype(q.dtype)

    queries = _query_tiles(q, parts, positions, tile)
    per_query = (_in_tiles(normaliser, 4, tile), _in_tiles(by_out, 4, tile), _in_tiles(common, 4, tile))
    by_keys, by_q = jax.lax.scan(of_queries, zeros, (queries, *per_query))
    gradients = []
    for keys, (by_k, by_v) in zip(parts, by_keys, strict=True):
        axis, size = keys.k.ndim - 2, keys.k.shape[-2]
        by_k, by_v = (_whole(values, axis, size).astype(keys.k.dtype) for values in (by_k, by_v))
        gradients.append(Keys(by_k, by_v, None, None, None))  # type: ignore[arg-type]
    return _whole(by_q, 4, q.shape[4]), tuple(gradients), None, None


_attend.defvjp(_forward, _backward)


def _gradients(
    q: Array, keys: Keys, visible: Array, normaliser: Array, by_out: Array, common: Array
) -> tuple[Array, Array, Array]:
    """Gradients of queries, keys and values through the scores of one tile, in float32."""
    k, v = keys.k, keys.v
    folded, by_folded = _fold(q, k), _fold(by_out, k)
    seen = _fold_mask(visible, q, k)

    def columns(values: Array) -> Array:
        return values.reshape(*folded.shape[:-1], 1)

    scores = jnp.einsum("...rh,...sh->...rs", folded, k, preferred_element_type=jnp.float32)
    weights = jnp.where(seen, jnp.exp(scores - columns(normaliser)), 0.0)
    by_v = jnp.einsum("...rs,...rh->...sh", weights.astype(v.dtype), by_folded, preferred_element_type=jnp.float32)
    by_weights = jnp.einsum("...rh,...sh->...rs", by_folded, v, preferred_element_type=jnp.float32)
    by_scores = (weights * (by_weights - columns(common))).astype(q.dtype)
    by_q = jnp.einsum("...rs,...sh->...rh", by_scores, k, preferred_element_type=jnp.float32)
    by_k = jnp.einsum("...rs,...rh->...sh", by_scores, folded, preferred_element_type=jnp.float32)
    return by_q.reshape(q.shape), by_k, by_v


def _visible(
    positions: Int[Array, "B J t"], segments: Int[Array, " B #J t"], keys: Keys, window: Array | None
) -> Bool[Array, "B J t s"]:
    same = segments[..., :, None] == keys.segments[..., None, :]
    return same & causal_mask(positions, keys.positions, window)


def _fold(q: Float[Array, "B K J G t H"], k: Array) -> Array:
    """Queries that read the same keys, in one dim."""
    *outer, g, t, h = q.shape
    return q.reshape(*outer, g * t, h) if k.ndim == 5 else q.reshape(*outer[:-1], outer[-1] * g * t, h)


def _fold_mask(visible: Bool[Array, "B J t s"], q: Float[Array, "B K J G t H"], k: Array) -> Array:
    rows, _, lines, group, tokens, _ = q.shape
    num_keys = visible.shape[-1]
    every = jnp.broadcast_to(visible[:, None, :, None], (rows, 1, lines, group, tokens, num_keys))
    if k.ndim == 5:
        return every.reshape(rows, 1, lines, group * tokens, num_keys)
    return every.reshape(rows, 1, lines * group * tokens, num_keys)


def _key_tiles(keys: Keys, tile: int) -> Keys:
    """Keys with a leading dim of tiles; what fills the last one is padding to everyone."""
    axis = keys.k.ndim - 2
    return Keys(
        _in_tiles(keys.k, axis, tile),
        _in_tiles(keys.v, axis, tile),
        _in_tiles(keys.positions, 2, tile),
        _in_tiles(keys.segments, 2, tile, fill=_EMPTY),
        None,  # type: ignore[arg-type]
    )


def _query_tiles(q: Array, parts: tuple[Keys, ...], positions: Array, tile: int) -> _Queries:
    segments = tuple(_in_tiles(keys.query_segments, 2, tile, fill=_NOBODY) for keys in parts)
    return _Queries(_in_tiles(q, 4, tile), _in_tiles(positions, 2, tile), segments)


def _in_tiles(values: Array, axis: int, tile: int, fill: int = 0) -> Array:
    """Cut a dim into equal tiles of at most this size, which become the first dim."""
    size = values.shape[axis]
    num_tiles = -(-size // tile)
    each = -(-size // num_tiles)
    missing = [(0, 0)] * values.ndim
    missing[axis] = (0, num_tiles * each - size)
    padded = jnp.pad(values, missing, constant_values=fill) if num_tiles * each > size else values
    return jnp.moveaxis(padded.reshape(*values.shape[:axis], num_tiles, each, *values.shape[axis + 1 :]), axis, 0)


def _whole(tiles: Array, axis: int, size: int) -> Array:
    """The inverse of `_in_tiles`."""
    joined = jnp.moveaxis(tiles, 0, axis)
    joined = joined.reshape(*joined.shape[:axis], -1, *joined.shape[axis + 2 :])
    return jax.lax.slice_in_dim(joined, 0, size, axis=axis)
