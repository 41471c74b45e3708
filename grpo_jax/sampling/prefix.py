# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Samples that go on: what is there of them is computed at once and put into a lane, as if it had been decoded there.

Of a sample with n tokens the inputs so far are the prompt's last token and its first n - 1 ones; the n-th is the next
input. Their keys and values end with a whole chunk, so that the next chunk is appended behind them:

    n = 5, chunks of 4     column  0  1  2  3 | 4  5  6  7      own_start 3, own_end 8, count 5
                                   .  .  .  q   a  b  c  d      next input e
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int32

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.attention import NEVER, attend_at
from grpo_jax.models.transformer import rotations_at, scaled_embedding
from grpo_jax.sampling.cached_attention import KeysValues
from grpo_jax.sampling.serving import ServingWeights, serving_blocks
from grpo_jax.sampling.state import Lanes, Slots, by_shard


class Prefixes(NamedTuple):
    """Samples that are put into lanes, one a row, the same number of rows for each shard.

    Attributes:
        slot: Slot that holds its prompt, within the row's shard; past the last one where the row is fill.
        lane: Of the slot.
        sample: Its number.
        limit: Its token limit.
        inputs: The prompt's last token and all tokens but the last, right-padded.
        count: Tokens that are there.
        token: The next input.
        tag_state: As in `Lanes`.
    """

    slot: Int32[Array, " n"]
    lane: Int32[Array, " n"]
    sample: Int32[Array, " n"]
    limit: Int32[Array, " n"]
    inputs: Int32[Array, "n M"]
    count: Int32[Array, " n"]
    token: Int32[Array, " n"]
    tag_state: Int32[Array, " n"] | None = None


def prefill_prefixes(
    weights: ServingWeights, slots: Slots, prefixes: Prefixes, *, arch: Architecture, num_shards: int
) -> list[KeysValues]:
    """Keys and values [n, K, M, H] of the rows' inputs in each layer, the prompts' being there already."""

    def of_slot(leaf: Array) -> Array:
        return by_shard(lambda own, index: own.at[index].get(mode="clip"), num_shards, leaf, prefixes.slot)

    prompt_end = of_slot(slots.prompt_length)[:, None] - 1
    positions = prompt_end + jnp.arange(prefixes.inputs.shape[1])
    rotations = rotations_at(arch, positions)
    num_prompt = slots.prompt_kv[0][0].shape[2]
    # The prompt's last token is the first of the inputs.
    in_prompt = jnp.where(jnp.arange(num_prompt) < prompt_end, jnp.arange(num_prompt), NEVER)
    key_positions = jnp.concatenate([in_prompt, positions], axis=1)
    x = scaled_embedding(weights["embedding"], prefixes.inputs, arch)
    keys_values: list[KeysValues] = []
    blocks = serving_blocks(weights, arch)
    for layer, block in enumerate(blocks):
        sliding = int(arch.sliding_layers[layer])
        q, k, v = block.attention_inputs(x, rotations[sliding])
        keys_values.append((jnp.swapaxes(k, 1, 2), jnp.swapaxes(v, 1, 2)))
        if layer + 1 < len(blocks):
            whole = [
                jnp.concatenate([jnp.swapaxes(of_slot(prompt), 1, 2), own], axis=1)
                for prompt, own in zip(slots.prompt_kv[layer], (k, v), strict=True)
            ]
            window = arch.sliding_window if sliding else None
            attended = attend_at(q, *whole, positions, key_positions, window, arch.query_scale, num_shards=num_shards)
            x = block.residual(x, attended)
    return keys_values


def put_prefixes(
    lanes: Lanes,
    limit: Int32[Array, "N G"],
    prefixes: Prefixes,
    keys_values: list[KeysValues],
    *,
    chunk_tokens: int,
    num_shards: int,
) -> tuple[Lanes, Int32[Array, "N G"]]:
    """Let lanes go on with samples; whatever they held is dropped.

    Args:
        lanes: Own caches have room for the prefixes and the chunk after them.
        limit: Of the slots.
        prefixes: No two rows of one lane.
        keys_values: From `prefill_prefixes`.
        chunk_tokens: What own caches are written in.
        num_shards: Parts that the slots are split into.
    """
    end = -(-prefixes.count // chunk_tokens) * chunk_tokens

    def put(leaf: Array, values: Array) -> Array:
        def on_shard(own: Array, slot: Array, lane: Array, rows: Array) -> Array:
            return own.at[slot, lane].set(rows, mode="drop")

        return by_shard(on_shard, num_shards, leaf, prefixes.slot, prefixes.lane, values)

    def put_cache(cache: Array, values: Array) -> Array:
        num_columns = cache.shape[3]
        # The last position that a column of the cache, a ring in sliding layers, holds.
        position = end[:, None] - 1 - (end[:, None] - 1 - jnp.arange(num_columns)) % num_columns
        index = jnp.clip(position - (end - prefixes.count)[:, None], 0, values.shape[2] - 1)
        return put(cache, jnp.take_along_axis(values, index[:, None, :, None], axis=2))

    def set_limit(own: Array, slot: Array, sample: Array, values: Array) -> Array:
        return own.at[slot, sample].set(values, mode="drop")

    put_lanes = lanes._replace(
        own_kv=[
            (put_cache(k, new_k), put_cache(v, new_v))
            for (k, v), (new_k, new_v) in zip(lanes.own_kv, keys_values, strict=True)
        ],
        own_start=put(lanes.own_start, end - prefixes.count),
        own_end=put(lanes.own_end, end),
        sample=put(lanes.sample, prefixes.sample),
        count=put(lanes.count, prefixes.count),
        token=put(lanes.token, prefixes.token),
        done=put(lanes.done, jnp.zeros_like(prefixes.sample, dtype=bool)),
    )
    if lanes.tag_state is not None and prefixes.tag_state is not None:
        put_lanes = put_lanes._replace(tag_state=put(lanes.tag_state, prefixes.tag_state))
    return put_lanes, by_shard(set_limit, num_shards, limit, prefixes.slot, prefixes.sample, prefixes.limit)
