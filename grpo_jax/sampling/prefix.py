# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Samples that go on: what is there of them is computed at once and put into a lane, as if it had been decoded there.

Of a sample with n tokens the inputs so far are the prompt's last token and its first n - 1 ones; the n-th is the next
input. Their keys and values end with a whole chunk, so that the next chunk is appended behind them:

    n = 5, chunks of 4     column  0  1  2  3 | 4  5  6  7      own_start 3, own_end 8, count 5
                                   .  .  .  q   a  b  c  d      next input e

A lane keeps the columns of a sample that has ended until it takes up another one. Where that sample goes on, such as
with the answer of an environment, only the inputs behind them are computed, and all move to where they have to end:

    c, d and e are new     column  0  1  2  3 | 4  5  6  7      own_start 1, kept 3
                                   .  q  a  b   .  .  .  .
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int32

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.attention import NEVER, attend_at
from grpo_jax.models.rope import rotations_at
from grpo_jax.models.transformer import scaled_embedding
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
        kept: Inputs whose keys and values the lane has.
        inputs: Those behind them, right-padded; of the prompt's last token and all tokens but the last.
        count: Inputs of both kinds, which are as many as the tokens that are there.
        token: The next input.
        tag_state: As in `Lanes`.
    """

    slot: Int32[Array, " n"]
    lane: Int32[Array, " n"]
    sample: Int32[Array, " n"]
    limit: Int32[Array, " n"]
    kept: Int32[Array, " n"]
    inputs: Int32[Array, "n M"]
    count: Int32[Array, " n"]
    token: Int32[Array, " n"]
    tag_state: Int32[Array, " n"] | None = None


def prefill_prefixes(
    weights: ServingWeights,
    slots: Slots,
    lanes: Lanes | None,
    prefixes: Prefixes,
    *,
    arch: Architecture,
    num_shards: int,
) -> list[KeysValues]:
    """Keys and values [n, K, M, H] of the rows' inputs in each layer.

    Args:
        weights: Of the policy.
        slots: They have the prompts.
        lanes: They have the inputs that are kept; None where no row has any.
        prefixes: The rows.
        arch: The model.
        num_shards: Parts that the slots are split into.
    """

    def of_slot(leaf: Array) -> Array:
        return by_shard(lambda own, index: own.at[index].get(mode="clip"), num_shards, leaf, prefixes.slot)

    prompt_end = of_slot(slots.prompt_length)[:, None] - 1
    positions = prompt_end + prefixes.kept[:, None] + jnp.arange(prefixes.inputs.shape[1])
    rotations = rotations_at(arch, positions)
    num_prompt = slots.prompt_kv[0][0].shape[2]
    # The prompt's last token is the first of the inputs.
    in_prompt = jnp.where(jnp.arange(num_prompt) < prompt_end, jnp.arange(num_prompt), NEVER)
    x = scaled_embedding(weights["embedding"], prefixes.inputs, arch)
    keys_values: list[KeysValues] = []
    blocks = serving_blocks(weights, arch)
    for layer, block in enumerate(blocks):
        sliding = int(arch.sliding_layers[layer])
        q, k, v = block.attention_inputs(x, rotations[sliding])
        keys_values.append((jnp.swapaxes(k, 1, 2), jnp.swapaxes(v, 1, 2)))
        if layer + 1 == len(blocks):
            break
        prompt_k, prompt_v = slots.prompt_kv[layer]
        parts, seen_at = [(of_slot(prompt_k), of_slot(prompt_v)), keys_values[-1]], [in_prompt, positions]
        if lanes is not None:
            own_k, own_v = (_of_lane(leaf, prefixes, num_shards) for leaf in lanes.own_kv[layer])
            start = _of_lane(lanes.own_start, prefixes, num_shards)
            held = _newest_in_column(start + prefixes.kept, own_k.shape[2]) - start[:, None]
            parts.append((own_k, own_v))
            seen_at.append(jnp.where(held < 0, NEVER, prompt_end + held))
        keys, values = (
            jnp.concatenate([jnp.swapaxes(leaf, 1, 2) for leaf in leaves], axis=1)
            for leaves in zip(*parts, strict=True)
        )
        window, key_positions = arch.sliding_window if sliding else None, jnp.concatenate(seen_at, axis=1)
        attended = attend_at(q, keys, values, positions, key_positions, window, arch.query_scale, num_shards=num_shards)
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
    with_kept: bool,
) -> tuple[Lanes, Int32[Array, "N G"]]:
    """Let lanes go on with samples; whatever else they held is dropped.

    Args:
        lanes: Own caches have room for the prefixes and the chunk after them.
        limit: Of the slots.
        prefixes: No two rows of one lane.
        keys_values: From `prefill_prefixes`.
        chunk_tokens: What own caches are written in.
        num_shards: Parts that the slots are split into.
        with_kept: Whether any row has inputs that are kept.
    """
    end = -(-prefixes.count // chunk_tokens) * chunk_tokens

    def put(leaf: Array, values: Array) -> Array:
        def on_shard(own: Array, slot: Array, lane: Array, rows: Array) -> Array:
            return own.at[slot, lane].set(rows, mode="drop")

        return by_shard(on_shard, num_shards, leaf, prefixes.slot, prefixes.lane, values)

    kept = prefixes.kept[:, None]

    def put_cache(cache: Array, values: Array) -> Array:
        num_columns = cache.shape[3]
        held = _newest_in_column(end, num_columns) - (end - prefixes.count)[:, None]
        index = jnp.clip(held - kept, 0, values.shape[2] - 1)
        if with_kept:
            start = _of_lane(lanes.own_start, prefixes, num_shards)[:, None]
            index = jnp.where(held < kept, (start + held) % num_columns, num_columns + index)
            values = jnp.concatenate([_of_lane(cache, prefixes, num_shards), values], axis=2)
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


def _of_lane(leaf: Array, prefixes: Prefixes, num_shards: int) -> Array:
    """What the rows' lanes hold of a leaf."""

    def on_shard(own: Array, slot: Array, lane: Array) -> Array:
        return own.at[slot, lane].get(mode="clip")

    return by_shard(on_shard, num_shards, leaf, prefixes.slot, prefixes.lane)


def _newest_in_column(end: Int32[Array, " n"], num_columns: int) -> Int32[Array, "n S"]:
    """The last of the places before `end` that each column holds; a cache of a sliding layer is a ring.

    Negative where a column holds none yet.
    """
    last = end[:, None] - 1
    return last - (last - jnp.arange(num_columns)) % num_columns
