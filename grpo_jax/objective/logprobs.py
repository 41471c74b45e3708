# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of given tokens from hidden states, without ever holding all logits.

The output head is applied to tiles of tokens whose logits are recomputed in the backward pass, so temporary memory is
one tile of float32 logits whatever the batch.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Int32

TILE_TOKENS = 256
"""Tokens whose logits exist at once on a device: 50 MiB of float32 for a vocabulary of 50k, 150 MiB for 150k."""

FORBIDDEN = -1e30
"""Logit of an id that cannot be chosen: finite, so that its share of the entropy is 0 and not 0 x inf."""


def token_logprobs(
    hidden: Float[Array, "B N D"],
    head: Float[Array, "V D"],
    targets: Int32[Array, "B N"],
    temperature: Float32[Array, " B"],
    tile_tokens: int = TILE_TOKENS,
    *,
    train_entropy: bool = False,
    num_choices: Int32[Array, "B N"] | None = None,
) -> tuple[Float32[Array, "B N"], Float32[Array, "B N"]]:
    """Log-probability of each target under softmax(hidden @ head.T / temperature), and that softmax's entropy.

    Args:
        hidden: States that predict `targets`, after the final norm. Rows may be sharded over devices: a tile takes
            some tokens of every row, so that each device works on its own rows.
        head: Output head, one row a token id.
        targets: Token ids.
        temperature: Above 0; the one that the row was sampled at (greedy rows: 1).
        tile_tokens: Upper bound of B times the tokens of a row in one tile, but at least one token a row.
        train_entropy: Let gradients flow through the entropies; otherwise they are constants.
        num_choices: How many ids, from 0 on, each token was chosen from; ids beyond have no probability and no
            gradient. None is all rows of the head.

    Returns:
        Natural log-probabilities (at most 0) and entropies in nats (at least 0), in float32 whatever the inputs.
    """
    num_rows, num_tokens, _ = hidden.shape
    tile = max(1, min(num_tokens, tile_tokens // num_rows))
    num_tiles = -(-num_tokens // tile)
    missing = num_tiles * tile - num_tokens

    def tiles(values: Array) -> Array:
        padded = jnp.pad(values, ((0, 0), (0, missing)) + ((0, 0),) * (values.ndim - 2))
        return jnp.moveaxis(padded.reshape(num_rows, num_tiles, tile, *values.shape[2:]), 1, 0)

    @jax.checkpoint
    def one_tile(_: None, tile_inputs: tuple[Array, Array, Array | None]) -> tuple[None, tuple[Array, Array]]:
        states, ids, choices = tile_inputs
        logits = jnp.einsum("btd,vd->btv", states, head, preferred_element_type=jnp.float32)
        logits = logits / temperature[:, None, None]
        if choices is not None:
            logits = jnp.where(jnp.arange(logits.shape[-1]) < choices[..., None], logits, FORBIDDEN)
        normaliser = jax.nn.logsumexp(logits, axis=-1)
        picked = jnp.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]
        # Where entropy is only reported, cutting its gradient saves a pass over the tile.
        judged = logits if train_entropy else jax.lax.stop_gradient(logits)
        entropy = jax.nn.logsumexp(judged, axis=-1) - (jax.nn.softmax(judged, axis=-1) * judged).sum(axis=-1)
        return None, (picked - normaliser, entropy)

    tiled_choices = None if num_choices is None else tiles(num_choices)
    _, outputs = jax.lax.scan(one_tile, None, (tiles(hidden), tiles(targets), tiled_choices))

    def rows(values: Float32[Array, "tiles B tile"]) -> Float32[Array, "B N"]:
        return jnp.moveaxis(values, 0, 1).reshape(num_rows, num_tiles * tile)[:, :num_tokens]

    logprobs, entropies = outputs
    return rows(logprobs), rows(entropies)
