# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled programs of sampling: prefill of prompts, a chunk of decode steps, growth and compaction of the cache.

Lanes are group-major: N prompts x C samples. A prompt's keys and values are stored once and read by all its lanes in
one batched matrix product. Every lane of a wave is at the same step, so each step writes one uniform cache column.

    prompt   p0 p1 p2 p3 .  .          keys of p0..p2 come from prefill; p3, the last real token, is the lane's
    own            p3 a  b  c  .  .    first decode input, so first and later tokens share one code path
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32, Int32, Key

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.attention import MASKED, attend, causal_mask, group_queries
from grpo_jax.models.transformer import rms_norm, rotations_at, scaled_embedding
from grpo_jax.sampling.serving import ServingBlock, ServingWeights, block_graph
from grpo_jax.sampling.token_choice import Cuts, choose

KeysValues = list[tuple[Float[Array, "..."], Float[Array, "..."]]]
"""Keys and values of each layer: prompts [N, K, P, H], own tokens [N, C, K, S, H]."""


class Slots(NamedTuple):
    """What the lanes of one prompt share; the first dim of every leaf is N."""

    prompt_kv: KeysValues
    prompt_length: Int32[Array, " N"]
    temperature: Float32[Array, " N"]
    limit: Int32[Array, " N"]
    cuts: Cuts


class Lanes(NamedTuple):
    """One sample a lane; the first two dims of every leaf are N and C."""

    own_kv: KeysValues
    token: Int32[Array, "N C"]
    done: Bool[Array, "N C"]
    key: Key[Array, "N C"]


class ChunkOutput(NamedTuple):
    """Tokens of one chunk; entries after a lane's end are not written by it and hold zeros."""

    tokens: Int32[Array, "N C chunk"]
    logprobs: Float32[Array, "N C chunk"]
    truncated_logprobs: Float32[Array, "N C chunk"]


def prefill(weights: ServingWeights, prompt_ids: Int32[Array, "N P"], *, arch: Architecture) -> KeysValues:
    """Prompt keys and values of each layer, head-major, of right-padded prompts. No head, no last hidden state."""
    positions = jnp.arange(prompt_ids.shape[1])
    rotations = rotations_at(arch, positions)
    x = scaled_embedding(weights["embedding"], prompt_ids, arch)
    keys_values: KeysValues = []
    for layer, block in enumerate(_blocks(weights, arch)):
        sliding = arch.sliding_layers[layer]
        q, k, v = block.attention_inputs(x, rotations[int(sliding)])
        mask = causal_mask(positions, positions, arch.sliding_window if sliding else None)
        x = block.residual(x, attend(q, k, v, mask[None], arch.query_scale))
        keys_values.append((jnp.swapaxes(k, 1, 2), jnp.swapaxes(v, 1, 2)))
    return keys_values


def decode_chunk(
    weights: ServingWeights,
    slots: Slots,
    lanes: Lanes,
    start: Int32[Array, ""],
    stop_ids: Int32[np.ndarray, " stops"],
    *,
    arch: Architecture,
    num_steps: int,
    with_cuts: bool,
) -> tuple[Lanes, ChunkOutput]:
    """Run up to `num_steps` decode steps, ending early only when every lane is done.

    Args:
        weights: Serving view of the policy.
        slots: The prompts.
        lanes: Their samples; the cache holds at least `start` columns, and one more for each step that is run.
        start: Tokens that every lane has sampled so far; the first step writes cache column `start`.
        stop_ids: Ids that end a lane (kept as its last token).
        arch: The model.
        num_steps: Length of the chunk.
        with_cuts: Whether any lane has top-p, top-k or min-p on.

    Returns:
        The lanes after the chunk, and its tokens.
    """
    num_slots, num_lanes = lanes.token.shape
    blocks = _blocks(weights, arch)
    head = weights["embedding"] if arch.tied_embeddings else weights["head"]
    temperature, *each_cut = (jnp.repeat(leaf, num_lanes) for leaf in (slots.temperature, *slots.cuts))
    cuts = Cuts(*each_cut) if with_cuts else None

    def step(carry: tuple[Array, Lanes, ChunkOutput]) -> tuple[Array, Lanes, ChunkOutput]:
        i, lanes, output = carry
        column = start + i
        positions = (slots.prompt_length - 1 + column)[:, None]
        rotations = rotations_at(arch, positions)
        x = scaled_embedding(weights["embedding"], lanes.token, arch)
        own_kv: KeysValues = []
        for layer, block in enumerate(blocks):
            sliding = arch.sliding_layers[layer]
            q, k, v = block.attention_inputs(x, rotations[int(sliding)])
            own_k, own_v = lanes.own_kv[layer]
            own = (_write(own_k, k, column, axis=3), _write(own_v, v, column, axis=3))
            own_kv.append(own)
            window = arch.sliding_window if sliding else None
            x = block.residual(x, _attend(q, slots, slots.prompt_kv[layer], own, column, arch.query_scale, window))
        hidden = rms_norm(x, weights["final_norm"], arch).reshape(num_slots * num_lanes, -1)
        logits = jnp.einsum("bd,vd->bv", hidden, head, preferred_element_type=jnp.float32)
        keys = jax.vmap(lambda key: jax.random.fold_in(key, column))(lanes.key.reshape(-1))
        choice = choose(logits, temperature, keys, cuts)
        token, logprob, truncated = (leaf.reshape(num_slots, num_lanes) for leaf in choice)
        token = jnp.where(lanes.done, 0, token)
        new = ChunkOutput(token, jnp.where(lanes.done, 0, logprob), jnp.where(lanes.done, 0, truncated))
        output = ChunkOutput(*(_write(buffer, values, i, axis=2) for buffer, values in zip(output, new, strict=True)))
        ended = jnp.any(token[..., None] == stop_ids, axis=-1) | (column + 1 >= slots.limit[:, None])
        return i + 1, Lanes(own_kv, token, lanes.done | ended, lanes.key), output

    def going(carry: tuple[Array, Lanes, ChunkOutput]) -> Bool[Array, ""]:
        return (carry[0] < num_steps) & ~jnp.all(carry[1].done)

    shape = (num_slots, num_lanes, num_steps)
    empty = ChunkOutput(jnp.zeros(shape, jnp.int32), jnp.zeros(shape), jnp.zeros(shape))
    _, lanes, output = jax.lax.while_loop(going, step, (jnp.int32(0), lanes, empty))
    return lanes, output


def grow(own_kv: KeysValues, num_columns: int) -> KeysValues:
    """Add empty cache columns at the end, up to `num_columns` in all."""
    return jax.tree.map(
        lambda cache: jnp.pad(cache, ((0, 0), (0, 0), (0, 0), (0, num_columns - cache.shape[3]), (0, 0))), own_kv
    )


def compact(
    slots: Slots,
    lanes: Lanes,
    slot_index: Int32[Array, " N"],
    lane_index: Int32[Array, "N C"],
    unused: Bool[Array, "N C"],
) -> tuple[Slots, Lanes]:
    """Gather the live slots and, in each, the live lanes; `unused` marks the fill that is born done."""
    slots = jax.tree.map(lambda leaf: leaf[slot_index], slots)
    lanes = jax.tree.map(lambda leaf: leaf[slot_index[:, None], lane_index], lanes)
    return slots, lanes._replace(done=lanes.done | unused)


def _blocks(weights: ServingWeights, arch: Architecture) -> list[ServingBlock]:
    graph = block_graph(arch)
    return [nnx.merge(graph, layer) for layer in weights["layers"]]


def _write(buffer: Array, new: Array, index: Int32[Array, ""], axis: int) -> Array:
    """The buffer with `new` at one index of `axis`, a dim that `new` lacks."""
    return jax.lax.dynamic_update_slice_in_dim(buffer, jnp.expand_dims(new, axis), index, axis)


def _attend(
    q: Float[Array, "N C heads H"],
    slots: Slots,
    prompt_kv: tuple[Float[Array, "N K P H"], Float[Array, "N K P H"]],
    own_kv: tuple[Float[Array, "N C K S H"], Float[Array, "N C K S H"]],
    column: Int32[Array, ""],
    scale: float,
    window: int | None,
) -> Float[Array, "N C heads H"]:
    """One query a lane over the prompt's and its own keys, under one softmax."""
    (prompt_k, prompt_v), (own_k, own_v) = prompt_kv, own_kv
    num_prompt = prompt_k.shape[2]
    grouped = group_queries(q * scale, prompt_k.shape[1])
    to_prompt = jnp.einsum("nckrh,nkph->nckrp", grouped, prompt_k, preferred_element_type=jnp.float32)
    to_own = jnp.einsum("nckrh,ncksh->nckrs", grouped, own_k, preferred_element_type=jnp.float32)
    prompt_positions = jnp.arange(num_prompt)
    last = slots.prompt_length[:, None] - 1
    see_prompt = prompt_positions < last
    own_columns = jnp.arange(own_k.shape[3])
    see_own = own_columns <= column
    if window is not None:
        see_prompt &= last + column - prompt_positions < window
        see_own &= column - own_columns < window
    scores = jnp.concatenate(
        [jnp.where(see_prompt[:, None, None, None], to_prompt, MASKED), jnp.where(see_own, to_own, MASKED)], axis=-1
    )
    weights = jax.nn.softmax(scores, axis=-1).astype(own_v.dtype)
    out = jnp.einsum("nckrp,nkph->nckrh", weights[..., :num_prompt], prompt_v)
    out += jnp.einsum("nckrs,ncksh->nckrh", weights[..., num_prompt:], own_v)
    return out.reshape(q.shape)
