# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing the next token of each row: an exact two-level draw among the tokens that the row's cuts leave.

Two levels: the vocabulary is cut into blocks; a block is drawn by its log-sum-exp, then a token within it. The
Gumbel-max trick (https://arxiv.org/abs/1411.0030) makes each draw exact, so the product is, at V/block + block random
numbers a row instead of V, and the normaliser of the log-probability comes for free.

Where rows or vocabulary are split over a mesh each device works on its part. Of the vocabulary's parts only what is
known of whole blocks and the one block that is drawn cross between devices, never the logits; rows never do.
"""

from functools import partial
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float32, Int32, Key

from grpo_jax.parallel.rules import MESH_AXES
from grpo_jax.sampling.cuts import WHOLE, Cuts, Split, smallest_kept

BLOCK = 512
"""Tokens of a block; near sqrt(V) for vocabularies of 50k to 250k, and a multiple of every vector width."""


class Choice(NamedTuple):
    """Token of each row, its log-probability before and after the cuts."""

    token: Int32[Array, " B"]
    logprob: Float32[Array, " B"]
    truncated_logprob: Float32[Array, " B"]


def padded_vocab(vocab_size: int, mesh: Mesh) -> int:
    """Rows that the output head is padded to, so that every device of `tensor` holds whole blocks of the logits."""
    whole = BLOCK * _num_parts(mesh)
    return -(-vocab_size // whole) * whole


def choose(
    logits: Float32[Array, "B V"],
    temperature: Float32[Array, " B"],
    keys: Key[Array, " B"],
    cuts: Cuts | None,
    *,
    vocab_size: int | None = None,
    mesh: Mesh | None = None,
) -> Choice:
    """Draw one token a row; rows with temperature 0 take the most probable one.

    Args:
        logits: Unscaled scores; -inf forbids a token. On a mesh that splits the vocabulary, `padded_vocab` of them.
        temperature: At least 0. Log-probabilities are those of logits / temperature (of the logits where it is 0).
        keys: One key a row, used for nothing else.
        cuts: None where every row's cuts are off, which then cost nothing.
        vocab_size: Number of tokens; columns from there on are padding. None where there is none.
        mesh: Devices, rows split over data and fsdp and the vocabulary over tensor; None leaves it to the compiler.

    Raises:
        ValueError: The vocabulary does not split into whole blocks.
    """
    if mesh is None:
        return _choose(logits, temperature, keys, cuts, vocab_size or logits.shape[1], WHOLE)
    rows, num_parts = MESH_AXES["batch"], _num_parts(mesh)
    if num_parts > 1 and logits.shape[1] % (BLOCK * num_parts):
        raise ValueError(
            f"{logits.shape[1]} logits do not split into blocks of {BLOCK} over tensor={num_parts}; "
            f"pad them to {padded_vocab(logits.shape[1], mesh)}"
        )
    vocab = MESH_AXES["vocab"] if num_parts > 1 else ()
    local = partial(_choose, vocab_size=vocab_size or logits.shape[1], split=Split(vocab, rows))
    by_row = P(rows)
    return jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(P(rows, vocab or None), by_row, by_row, by_row),
        out_specs=by_row,
        # What devices gather of each other is the same on all of them, which types do not know.
        check_vma=False,
    )(logits, temperature, keys, cuts)


def _num_parts(mesh: Mesh) -> int:
    return prod(mesh.shape[axis] for axis in MESH_AXES["vocab"])


def _choose(
    logits: Float32[Array, "B V"],
    temperature: Float32[Array, " B"],
    keys: Key[Array, " B"],
    cuts: Cuts | None,
    vocab_size: int,
    split: Split,
) -> Choice:
    """`choose` on one device's rows and part of the vocabulary."""
    missing = -logits.shape[1] % BLOCK
    if missing:
        logits = jnp.pad(logits, ((0, 0), (0, missing)), constant_values=-jnp.inf)
    num_columns = logits.shape[1]
    part = jax.lax.axis_index(split.vocab) if split.vocab else 0
    ids = part * num_columns + jnp.arange(num_columns)
    logits = jnp.where(ids < vocab_size, logits, -jnp.inf)
    greedy = (temperature == 0.0)[:, None]
    divisor = jnp.where(temperature == 0.0, 1.0, temperature)
    scaled = logits / divisor[:, None]
    full_normaliser = jax.nn.logsumexp(_block_weights(scaled, split), axis=1)
    kept = scaled
    if cuts is not None:
        threshold = smallest_kept(logits, divisor, full_normaliser, cuts, split)
        kept = jnp.where(logits >= threshold[:, None], scaled, -jnp.inf)
    weights = _block_weights(kept, split)

    num_blocks = -(-vocab_size // BLOCK)
    gumbel = jax.vmap(lambda key: jax.random.gumbel(key, (num_blocks + BLOCK,), jnp.float32))(keys)
    noise = jnp.where(greedy, 0.0, gumbel)
    blocks = kept.reshape(len(kept), -1, BLOCK)
    block_scores = jnp.where(greedy, split.gather(blocks.max(axis=2)), weights)[:, :num_blocks] + noise[:, :num_blocks]
    block = jnp.argmax(block_scores, axis=1)
    inside = _block_at(blocks, block - part * blocks.shape[1], split)
    offset = jnp.argmax(inside + noise[:, num_blocks:], axis=1)
    score = jnp.take_along_axis(inside, offset[:, None], axis=1)[:, 0]
    logprob = score - full_normaliser
    truncated = logprob if cuts is None else score - jax.nn.logsumexp(weights, axis=1)
    return Choice((block * BLOCK + offset).astype(jnp.int32), logprob, truncated)


def _block_weights(scores: Float32[Array, "B V"], split: Split) -> Float32[Array, "B blocks"]:
    """Log-sum-exp of every block of the whole vocabulary."""
    return split.gather(jax.nn.logsumexp(scores.reshape(len(scores), -1, BLOCK), axis=2))


def _block_at(
    blocks: Float32[Array, "B blocks block"], index: Int32[Array, " B"], split: Split
) -> Float32[Array, "B block"]:
    """One block of each row, from the device that holds it."""
    held = (index >= 0) & (index < blocks.shape[1])
    own = jnp.take_along_axis(blocks, jnp.where(held, index, 0)[:, None, None], axis=1)[:, 0]
    return split.total(jnp.where(held[:, None], own, 0.0))
