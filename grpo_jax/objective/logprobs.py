# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of given tokens from hidden states, without ever holding all logits (`vocabulary_tiles.py`).

Where the vocabulary is split over devices each takes its own ids, and a few numbers a token are reduced: no device
gathers another's logits.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, Int32

from grpo_jax.objective.vocabulary_tiles import TILE_BYTES, Known, Tokens, gradients_of, rebased, sums_of


class HeadSharding(NamedTuple):
    """How rows and vocabulary lie on the mesh.

    Attributes:
        mesh: All devices.
        batch_axes: Axes over which rows are split; their product divides the number of rows.
        vocab_axis: Axis over which the head's rows are split, where it divides them evenly.
    """

    mesh: Mesh
    batch_axes: tuple[str, ...]
    vocab_axis: str


class _Settings(NamedTuple):
    tile_bytes: int
    train_entropy: bool
    sharding: HeadSharding | None


def token_logprobs(
    hidden: Float[Array, "B N D"],
    head: Float[Array, "V D"],
    targets: Int32[Array, "B N"],
    temperature: Float32[Array, " B"],
    tile_bytes: int = TILE_BYTES,
    *,
    train_entropy: bool = False,
    num_choices: Int32[Array, "B N"] | None = None,
    sharding: HeadSharding | None = None,
) -> tuple[Float32[Array, "B N"], Float32[Array, "B N"]]:
    """Log-probability of each target under softmax(hidden @ head.T / temperature), and that softmax's entropy.

    Args:
        hidden: States that predict `targets`, after the final norm.
        head: Output head, one row a token id.
        targets: Token ids.
        temperature: Above 0; the one that the row was sampled at (greedy rows: 1). Gets no gradient.
        tile_bytes: Upper bound of the float32 logits of one tile, but at least one logit a tile.
        train_entropy: Let gradients flow through the entropies; otherwise they are constants.
        num_choices: How many ids, from 0 on, each token was chosen from, at least 1; ids beyond have no probability
            and no gradient. None is all rows of the head.
        sharding: Where rows and head lie; None leaves it to the compiler, which is right for one device.

    Returns:
        Natural log-probabilities (at most 0) and entropies in nats (at least 0), in float32 whatever the inputs.
    """
    settings = _Settings(tile_bytes, train_entropy, sharding)
    found: Any = _token_logprobs(hidden, head, targets, temperature, num_choices, settings)
    logprobs, entropies = found
    return logprobs, entropies if train_entropy else jax.lax.stop_gradient(entropies)


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def _token_logprobs(
    hidden: Array, head: Array, targets: Array, temperature: Array, choices: Array | None, settings: _Settings
) -> tuple[Array, Array]:
    return _forward(hidden, head, targets, temperature, choices, settings)[0]


def _forward(
    hidden: Array, head: Array, targets: Array, temperature: Array, choices: Array | None, settings: _Settings
) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
    axis = _vocab_axis(head.shape[0], settings.sharding)

    def local(
        head: Array, hidden: Array, targets: Array, temperature: Array, choices: Array | None
    ) -> tuple[Array, Array, Array]:
        tokens = _flat(hidden, targets, temperature, choices)
        sums = sums_of(tokens, head, _first_id(head, axis), settings.tile_bytes)
        if axis is not None:
            largest = jax.lax.pmax(sums.largest, axis)
            sums = jax.tree.map(partial(jax.lax.psum, axis_name=axis), rebased(sums, largest))
            sums = sums._replace(largest=largest)
        normaliser = sums.largest + jnp.log(sums.total)
        entropies = jnp.log(sums.total) - sums.weighted / sums.total
        results = (sums.picked - normaliser, entropies, normaliser)
        return tuple(values.reshape(targets.shape) for values in results)  # type: ignore[return-value]

    rows = (hidden, targets, temperature, choices)
    on_devices = _on_devices(local, axis, settings.sharding, len(rows), ("rows",) * 3)
    logprobs, entropies, normaliser = on_devices(head, *rows)
    return (logprobs, entropies), (head, *rows, normaliser, entropies)


def _backward(
    settings: _Settings, kept: tuple[Any, ...], cotangents: tuple[Array, Array]
) -> tuple[Array, Array, None, None, None]:
    head, *rows = kept
    axis = _vocab_axis(head.shape[0], settings.sharding)

    def local(
        head: Array, hidden: Array, targets: Array, temperature: Array, choices: Array | None, *known: Array | None
    ) -> tuple[Array, Array]:
        tokens = _flat(hidden, targets, temperature, choices)
        flat = Known(*(None if values is None else values.reshape(-1) for values in known))  # type: ignore[arg-type]
        by_hidden, by_head = gradients_of(tokens, flat, head, _first_id(head, axis), settings.tile_bytes)
        if settings.sharding is not None and settings.sharding.mesh.size > 1:
            by_head = jax.lax.psum(by_head, settings.sharding.batch_axes)
        if axis is not None:
            by_hidden = jax.lax.psum(by_hidden, axis)
        return by_hidden.reshape(hidden.shape).astype(hidden.dtype), by_head.astype(head.dtype)

    by_logprob, by_entropy = cotangents
    rows += [by_logprob, by_entropy if settings.train_entropy else None]
    on_devices = _on_devices(local, axis, settings.sharding, len(rows), ("rows", "head"))
    by_hidden, by_head = on_devices(head, *rows)
    return by_hidden, by_head, None, None, None


_token_logprobs.defvjp(_forward, _backward)


def _flat(hidden: Array, targets: Array, temperature: Array, choices: Array | None) -> Tokens:
    by_token = jnp.broadcast_to(temperature[:, None], targets.shape).reshape(-1)
    flat_choices = None if choices is None else choices.reshape(-1)
    return Tokens(hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1), by_token, flat_choices)


def _vocab_axis(vocab_size: int, sharding: HeadSharding | None) -> str | None:
    """The axis over which the head's rows are split; None where each device has all of them."""
    if sharding is None or sharding.mesh.shape[sharding.vocab_axis] == 1:
        return None
    return None if vocab_size % sharding.mesh.shape[sharding.vocab_axis] else sharding.vocab_axis


def _first_id(head: Array, axis: str | None) -> Array | int:
    """The first id of this device's part of the head."""
    return 0 if axis is None else jax.lax.axis_index(axis) * head.shape[0]


def _on_devices(
    local: Callable[..., Any], axis: str | None, sharding: HeadSharding | None, num_rows: int, outputs: tuple[str, ...]
) -> Callable[..., Any]:
    """`local(head, *rows)` on every device's own ids and rows, or as it is where there is one device."""
    if sharding is None or sharding.mesh.size == 1:
        return local
    specs = {"rows": P(sharding.batch_axes), "head": P(axis)}
    return jax.shard_map(
        local,
        mesh=sharding.mesh,
        in_specs=(specs["head"], *[specs["rows"]] * num_rows),
        out_specs=tuple(specs[name] for name in outputs),
        check_vma=False,
    )
