# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the device holds between two chunks of decode, and how the host changes it there.

N slots hold one prompt each, and C lanes a slot hold one sample each of the prompt's group:

    slot 0: prompt a, samples 0..7, next 5      lanes: sample 1 at token 40 | sample 4 at token 3
    slot 1: prompt b, samples 0..7, next 8      lanes: sample 6 at token 90 | done

A lane's own cache is written in whole chunks, so its columns are aligned to them: a sample that a lane takes up in the
middle of a chunk starts at that column (`own_start`), and every later chunk appends all of its columns (`own_end`).

Slots are split over the batch axes of the mesh and stay on their device: every change gathers or scatters within the
`num_shards` equal parts of the slots, so no cache crosses devices.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, Key, UInt32

from grpo_jax.models.architecture import Architecture
from grpo_jax.sampling.cached_attention import KeysValues
from grpo_jax.sampling.token_choice import Cuts


class Slots(NamedTuple):
    """What the lanes of one prompt share and no chunk changes; the first dim of every leaf is N.

    Attributes:
        prompt_kv: Keys and values [N, K, P, H] of each layer; those of the last prompt token are not seen.
        prompt_length: Tokens of the prompt, the last one counted.
        last_token: The prompt's last token, every sample's first input.
        num_samples: One past the last sample to draw.
        limit: Token limit of each of the G samples.
        stop_ids: Ids that end a sample; -1 is none.
        temperature: At least 0; 0 is greedy.
        cuts: Of token choice.
        key: Of (seed, step, prompt).
        tag_state: State of the reasoning tags before a sample's first token; None for a model without twins.
    """

    prompt_kv: list[KeysValues]
    prompt_length: Int32[Array, " N"]
    last_token: Int32[Array, " N"]
    num_samples: Int32[Array, " N"]
    limit: Int32[Array, "N G"]
    stop_ids: Int32[Array, "N stops"]
    temperature: Float32[Array, " N"]
    cuts: Cuts
    key: Key[Array, " N"]
    tag_state: Int32[Array, " N"] | None = None


class Lanes(NamedTuple):
    """One sample a lane; the first two dims of every other leaf than `next_sample` are N and C.

    Attributes:
        own_kv: Keys and values [N, C, K, S, H] of each layer, from earlier chunks.
        own_start: Column of the sample's first input. A lane that is done keeps it, and its columns, until it takes up
            another sample.
        own_end: One past the column of its last one; 0 where the lane is done.
        sample: Which sample the lane holds.
        count: Tokens sampled so far.
        token: The next input.
        done: Whether the lane waits for a sample.
        next_sample: First sample of each slot that no lane has taken up.
        tag_state: State of the reasoning tags before the next token to draw; None for a model without twins.
    """

    own_kv: list[KeysValues]
    own_start: Int32[Array, "N C"]
    own_end: Int32[Array, "N C"]
    sample: Int32[Array, "N C"]
    count: Int32[Array, "N C"]
    token: Int32[Array, "N C"]
    done: Bool[Array, "N C"]
    next_sample: Int32[Array, " N"]
    tag_state: Int32[Array, "N C"] | None = None


class NewGroup(NamedTuple):
    """A prompt that takes over a slot, one a row.

    Attributes:
        slot: Its slot within the row's shard, counted from the shard's first; past the last one where the row is fill.
        prompt_length: As in `Slots`, like those that follow.
        first_sample: First sample that the slot's lanes take up.
        seed: Of the noise.
        step: Training step, part of the noise.
        stream: Names the prompt's noise.
        tag_state: As in `Slots`.
    """

    slot: Int32[Array, " n"]
    prompt_length: Int32[Array, " n"]
    last_token: Int32[Array, " n"]
    first_sample: Int32[Array, " n"]
    num_samples: Int32[Array, " n"]
    limit: Int32[Array, "n G"]
    stop_ids: Int32[Array, "n stops"]
    temperature: Float32[Array, " n"]
    cuts: Cuts
    seed: UInt32[Array, " n"]
    step: UInt32[Array, " n"]
    stream: UInt32[Array, " n"]
    tag_state: Int32[Array, " n"] | None = None


def own_columns(arch: Architecture, num_columns: int, chunk_tokens: int) -> list[int]:
    """Columns of each layer's own cache; a sliding layer needs no more than its window, in whole chunks."""
    if arch.sliding_window is None:
        return [num_columns] * arch.num_layers
    ring = -(-max(arch.sliding_window - 1, 1) // chunk_tokens) * chunk_tokens
    return [min(num_columns, ring) if sliding else num_columns for sliding in arch.sliding_layers]


def empty_state(
    num_slots: int,
    num_lanes: int,
    num_prompt: int,
    columns: tuple[int, ...],
    num_stops: int,
    num_samples: int,
    *,
    arch: Architecture,
    dtype: Any,
) -> tuple[Slots, Lanes]:
    """Slots with nothing to draw and lanes that are done; `columns` are those of each layer's own cache."""
    heads, size = arch.num_kv_heads, arch.head_size

    def cache(*shape: int) -> KeysValues:
        return jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)

    def ints(*shape: int) -> Int32[Array, "..."]:
        return jnp.zeros(shape, jnp.int32)

    by_slot, by_lane = (num_slots,), (num_slots, num_lanes)
    slots = Slots(
        prompt_kv=[cache(num_slots, heads, num_prompt, size) for _ in range(arch.num_layers)],
        prompt_length=ints(*by_slot) + 1,
        last_token=ints(*by_slot),
        num_samples=ints(*by_slot),
        limit=ints(num_slots, num_samples),
        stop_ids=ints(num_slots, num_stops) - 1,
        temperature=jnp.zeros(by_slot),
        cuts=Cuts(jnp.ones(by_slot), ints(*by_slot), jnp.zeros(by_slot)),
        key=_group_keys(*[jnp.zeros(by_slot, jnp.uint32)] * 3),
        tag_state=ints(*by_slot) if arch.num_twins else None,
    )
    lanes = Lanes(
        own_kv=[cache(num_slots, num_lanes, heads, own, size) for own in columns],
        own_start=ints(*by_lane),
        own_end=ints(*by_lane),
        sample=ints(*by_lane),
        count=ints(*by_lane),
        token=ints(*by_lane),
        done=jnp.ones(by_lane, bool),
        next_sample=ints(*by_slot),
        tag_state=ints(*by_lane) if arch.num_twins else None,
    )
    return slots, lanes


def put_groups(
    slots: Slots, lanes: Lanes, new: NewGroup, prompt_kv: list[KeysValues], *, num_shards: int
) -> tuple[Slots, Lanes]:
    """Give slots to new prompts; whatever their lanes held is dropped.

    Args:
        slots: The prompts.
        lanes: Their samples.
        new: The same number of rows for each shard, in the order of the shards.
        prompt_kv: From `prefill`, for the rows of `new`; at most as many columns as the slots have.
        num_shards: Parts that the slots are split into.
    """

    def put(leaf: Array, values: Array) -> Array:
        def on_shard(own: Array, index: Array, rows: Array) -> Array:
            place = (index, slice(None), slice(rows.shape[2])) if own.ndim == 4 else (index,)
            return own.at[place].set(rows, mode="drop")

        return by_shard(on_shard, num_shards, leaf, new.slot, values)

    values = Slots(
        prompt_kv=prompt_kv,
        prompt_length=new.prompt_length,
        last_token=new.last_token,
        num_samples=new.num_samples,
        limit=new.limit,
        stop_ids=new.stop_ids,
        temperature=new.temperature,
        cuts=new.cuts,
        key=_group_keys(new.step, new.seed, new.stream),
        tag_state=new.tag_state,
    )
    all_done = jnp.ones((*new.slot.shape, lanes.done.shape[1]), bool)
    return jax.tree.map(put, slots, values), lanes._replace(
        done=put(lanes.done, all_done), next_sample=put(lanes.next_sample, new.first_sample)
    )


def resize(own_kv: list[KeysValues], *, columns: tuple[int, ...]) -> list[KeysValues]:
    """Give each layer's own cache so many columns: the first of those it has, and empty ones."""

    def resized(cache: Array, num_columns: int) -> Array:
        kept = cache[:, :, :, :num_columns]
        return jnp.pad(kept, ((0, 0), (0, 0), (0, 0), (0, num_columns - kept.shape[3]), (0, 0)))

    return [(resized(k, own), resized(v, own)) for (k, v), own in zip(own_kv, columns, strict=True)]


def compact(
    slots: Slots,
    lanes: Lanes,
    slot_index: Int32[Array, " N"],
    lane_index: Int32[Array, "N C"],
    live: Bool[Array, "N C"],
    refilled: Bool[Array, " N"],
    *,
    num_shards: int,
) -> tuple[Slots, Lanes]:
    """Gather slots, and in each of them lanes, into a batch of another shape.

    Args:
        slots: The prompts.
        lanes: Their samples.
        slot_index: For each new slot the old one within its shard. A prompt may take several new slots.
        lane_index: For each new lane the old one of that slot.
        live: False marks lanes that are fill and born done.
        refilled: Whether the new slot's lanes take up its prompt's further samples; one of a prompt's slots may.
        num_shards: Parts that the slots are split into.
    """
    slots, next_sample = jax.tree.map(
        lambda leaf: by_shard(lambda own, index: own[index], num_shards, leaf, slot_index), (slots, lanes.next_sample)
    )

    def gather(leaf: Array) -> Array:
        return by_shard(lambda own, n, c: own[n[:, None], c], num_shards, leaf, slot_index, lane_index)

    kept = jax.tree.map(gather, lanes._replace(next_sample=None))
    return slots, kept._replace(
        done=kept.done | ~live,
        own_end=jnp.where(live, kept.own_end, 0),
        next_sample=jnp.where(refilled, next_sample, slots.num_samples),
    )


def by_shard(change: Callable[..., Array], num_shards: int, *arrays: Array) -> Array:
    """Apply a change to each of the equal parts of the arrays' first dims."""
    parts = [array.reshape(num_shards, -1, *array.shape[1:]) for array in arrays]
    changed = jax.vmap(change)(*parts)
    return changed.reshape(-1, *changed.shape[2:])


def _group_keys(
    steps: UInt32[Array, " n"], seeds: UInt32[Array, " n"], streams: UInt32[Array, " n"]
) -> Key[Array, " n"]:
    """Threefry keys of (seed, step, stream): the same wherever and beside whatever a prompt is decoded."""

    def key(step: UInt32[Array, ""], seed: UInt32[Array, ""], stream: UInt32[Array, ""]) -> Key[Array, ""]:
        base = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), step)
        return jax.random.fold_in(base, stream)

    return jax.vmap(key)(steps, seeds, streams)
