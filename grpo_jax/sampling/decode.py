# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One chunk of decode: a fixed number of steps in one device program.

Within a chunk the cache of earlier tokens is only read. Every step writes one uniform column of a small stage, whatever
the lanes' lengths, and the stage goes to the lanes' own caches once, at the end. A lane that ends takes up the next
sample of its slot at the following step, so no lane waits while its group has samples left:

    step        0  1  2  3  4  5         lane 0 goes on with sample 1, which ends at step 2; sample 5 starts at step 3
    stage       a  b  c  x  y  z         in column 3 of the block that the chunk appends
    seen at 4   .  .  .  o  o            own part: nothing; stage: columns 3 and 4
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float32, Int8, Int32

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.reasoning_tags import TagTable
from grpo_jax.models.rope import rotations_at
from grpo_jax.models.transformer import rms_norm, scaled_embedding
from grpo_jax.sampling.cached_attention import AttendOwn, KeysValues, Span, Spans, attend_cached
from grpo_jax.sampling.serving import ServingWeights, serving_blocks
from grpo_jax.sampling.state import Lanes, Slots
from grpo_jax.sampling.token_choice import choose

STOPPED, CUT_OFF = 1, 2
"""How a sample ended: by a stop id, at its token limit."""


class ChunkOutput(NamedTuple):
    """What each lane sampled at each step of a chunk.

    Attributes:
        tokens: Ids.
        logprobs: Natural log-probabilities under the full softmax.
        truncated_logprobs: The same after the cuts.
        sample: Sample that the token belongs to, or -1 where the lane had none.
        place: Index of the token in its sample.
        finish: `STOPPED` or `CUT_OFF` at a sample's last token, else 0.
    """

    tokens: Int32[Array, "N C chunk"]
    logprobs: Float32[Array, "N C chunk"]
    truncated_logprobs: Float32[Array, "N C chunk"]
    sample: Int32[Array, "N C chunk"]
    place: Int32[Array, "N C chunk"]
    finish: Int8[Array, "N C chunk"]


class _Carry(NamedTuple):
    """What changes from step to step; `stage_start` is the first stage column of the lane's sample."""

    step: Int32[Array, ""]
    lanes: Lanes
    stage: list[KeysValues]
    stage_start: Int32[Array, "N C"]
    output: ChunkOutput


def decode_chunk(
    weights: ServingWeights,
    slots: Slots,
    lanes: Lanes,
    killed: Int32[Array, "N C"],
    *,
    arch: Architecture,
    num_steps: int,
    with_cuts: bool,
    attend_own: AttendOwn | None = None,
    mesh: Mesh | None = None,
    tags: TagTable | None = None,
) -> tuple[Lanes, ChunkOutput, Int32[Array, "N C"]]:
    """Run `num_steps` decode steps, fewer only when no lane has anything to do.

    Args:
        weights: Serving view of the policy.
        slots: The prompts.
        lanes: Their samples; own caches have room for `num_steps` more columns.
        killed: Samples of each slot that its lanes drop if they still hold them; -1 is none.
        arch: The model.
        num_steps: Length of the chunk.
        with_cuts: Whether any slot has top-p, top-k or min-p on.
        attend_own: As for `attend_cached`.
        mesh: Devices that share slots and vocabulary, so that choosing tokens moves no logits between them.
        tags: Of a model with a reasoning vocabulary, whose twins have no probability outside the tags.

    Returns:
        The lanes after the chunk, its tokens, and the lanes' `own_end`.
    """
    num_slots, num_lanes = lanes.token.shape
    blocks = serving_blocks(weights, arch)
    head = weights["embedding"] if arch.tied_embeddings else weights["head"]
    own_kv = lanes.own_kv
    cuts = jax.tree.map(lambda leaf: jnp.repeat(leaf, num_lanes), slots.cuts) if with_cuts else None
    temperature = jnp.repeat(slots.temperature, num_lanes)

    def step(carry: _Carry) -> _Carry:
        i = carry.step
        lanes, stage_start = _refill(carry.lanes, carry.stage_start, slots, i)
        rotations = rotations_at(arch, slots.prompt_length[:, None] - 1 + lanes.count)
        spans = [_spans(slots, lanes, stage_start, i, window) for window in (None, arch.sliding_window)]
        x = scaled_embedding(weights["embedding"], lanes.token, arch)
        stage: list[KeysValues] = []
        for layer, block in enumerate(blocks):
            sliding = int(arch.sliding_layers[layer])
            q, k, v = block.attention_inputs(x, rotations[sliding])
            stage_k, stage_v = carry.stage[layer]
            stage.append((_write(stage_k, k, i, axis=3), _write(stage_v, v, i, axis=3)))
            parts = slots.prompt_kv[layer], own_kv[layer], stage[layer]
            x = block.residual(x, attend_cached(q, *parts, spans[sliding], arch.query_scale, attend_own))
        hidden = rms_norm(x, weights["final_norm"], arch).reshape(num_slots * num_lanes, -1)
        logits = jnp.einsum("bd,vd->bv", hidden, head, preferred_element_type=jnp.float32)
        logits = logits if tags is None else _among_choices(logits, tags, lanes)
        choice = choose(logits, temperature, _token_keys(slots, lanes), cuts, vocab_size=arch.vocab_size, mesh=mesh)
        token, logprob, truncated = (leaf.reshape(num_slots, num_lanes) for leaf in choice)
        stopped = jnp.any(token[..., None] == slots.stop_ids[:, None], axis=-1)
        ended = stopped | (lanes.count + 1 >= jnp.take_along_axis(slots.limit, lanes.sample, axis=1))
        finish = jnp.where(lanes.done, 0, jnp.where(stopped, STOPPED, jnp.where(ended, CUT_OFF, 0)))
        new = ChunkOutput(
            token, logprob, truncated, jnp.where(lanes.done, -1, lanes.sample), lanes.count, finish.astype(jnp.int8)
        )
        output = ChunkOutput(*(_write(old, values, i, axis=2) for old, values in zip(carry.output, new, strict=True)))
        if tags is not None:
            lanes = lanes._replace(tag_state=_tag_states_after(token, tags, lanes))
        lanes = lanes._replace(token=token, count=lanes.count + 1, done=lanes.done | ended)
        return _Carry(i + 1, lanes, stage, stage_start, output)

    def going(carry: _Carry) -> Bool[Array, ""]:
        waiting = carry.lanes.next_sample < slots.num_samples
        return (carry.step < num_steps) & ~jnp.all(carry.lanes.done & ~waiting[:, None])

    shape = (num_slots, num_lanes, num_steps)
    stage_shape = (num_slots, num_lanes, arch.num_kv_heads, num_steps, arch.head_size)
    zeros = jnp.zeros(shape)
    none = jnp.full(shape, -1, jnp.int32)
    start = _Carry(
        step=jnp.int32(0),
        lanes=lanes._replace(
            own_kv=[], done=lanes.done | jnp.any(lanes.sample[:, :, None] == killed[:, None], axis=-1)
        ),
        stage=[(jnp.zeros(stage_shape, k.dtype), jnp.zeros(stage_shape, v.dtype)) for k, v in own_kv],
        stage_start=jnp.zeros((num_slots, num_lanes), jnp.int32),
        output=ChunkOutput(none, zeros, zeros, none, none, jnp.zeros(shape, jnp.int8)),
    )
    _, lanes, stage, stage_start, output = jax.lax.while_loop(going, step, start)
    written, computed = lanes.own_end, output.sample >= 0
    flushed = [
        (_append(own_k, stage_k, written, computed), _append(own_v, stage_v, written, computed))
        for (own_k, own_v), (stage_k, stage_v) in zip(own_kv, stage, strict=True)
    ]
    started = (written == 0) & jnp.any(computed, axis=-1)
    lanes = lanes._replace(
        own_kv=flushed,
        own_start=jnp.where(started, stage_start, lanes.own_start),
        own_end=jnp.where(lanes.done, 0, written + num_steps),
    )
    return lanes, output, lanes.own_end


def _refill(
    lanes: Lanes, stage_start: Int32[Array, "N C"], slots: Slots, step: Int32[Array, ""]
) -> tuple[Lanes, Int32[Array, "N C"]]:
    """Lanes that are done take up the next samples of their slot, in the order of the lanes."""
    candidate = lanes.next_sample[:, None] + jnp.cumsum(lanes.done, axis=1) - 1
    taken = lanes.done & (candidate < slots.num_samples[:, None])
    last_token = jnp.broadcast_to(slots.last_token[:, None], lanes.token.shape)
    refilled = lanes._replace(
        own_start=jnp.where(taken, 0, lanes.own_start),
        own_end=jnp.where(taken, 0, lanes.own_end),
        sample=jnp.where(taken, candidate, lanes.sample),
        count=jnp.where(taken, 0, lanes.count),
        token=jnp.where(taken, last_token, lanes.token),
        done=lanes.done & ~taken,
        next_sample=lanes.next_sample + taken.sum(axis=1, dtype=jnp.int32),
    )
    if slots.tag_state is not None and lanes.tag_state is not None:
        refilled = refilled._replace(tag_state=jnp.where(taken, slots.tag_state[:, None], lanes.tag_state))
    return refilled, jnp.where(taken, step, stage_start)


def _among_choices(logits: Float32[Array, "B V"], tags: TagTable, lanes: Lanes) -> Float32[Array, "B V"]:
    """Logits of the ids that each lane may choose from; -inf for twins outside the tags, and for padding."""
    assert lanes.tag_state is not None
    num_choices = tags.num_choices[lanes.tag_state].reshape(-1, 1)
    return jnp.where(jnp.arange(logits.shape[1]) < num_choices, logits, -jnp.inf)


def _tag_states_after(token: Int32[Array, "N C"], tags: TagTable, lanes: Lanes) -> Int32[Array, "N C"]:
    assert lanes.tag_state is not None
    # A twin's id is its base id modulo the number of base ids.
    return tags.after[lanes.tag_state, token % tags.after.shape[1]].astype(jnp.int32)


def _spans(
    slots: Slots, lanes: Lanes, stage_start: Int32[Array, "N C"], step: Int32[Array, ""], window: int | None
) -> Spans:
    """What each lane's present token sees; a window reaches back over stage, own part and prompt in this order."""
    prompt_end = slots.prompt_length[:, None] - 1
    stage_end = jnp.broadcast_to(step + 1, stage_start.shape)
    if window is None:
        return Spans(
            Span(jnp.zeros_like(prompt_end), prompt_end),
            Span(lanes.own_start, lanes.own_end),
            Span(stage_start, stage_end),
        )
    return Spans(
        Span(jnp.maximum(prompt_end + lanes.count + 1 - window, 0), prompt_end),
        Span(jnp.maximum(lanes.own_start + lanes.count + 1 - window, lanes.own_start), lanes.own_end),
        Span(jnp.maximum(stage_end - window, stage_start), stage_end),
    )


def _token_keys(slots: Slots, lanes: Lanes) -> Array:
    """Keys of (prompt, sample, token), one a lane, flat."""

    def key(of_prompt: Array, sample: Array, place: Array) -> Array:
        return jax.random.fold_in(jax.random.fold_in(of_prompt, sample), place)

    return jax.vmap(jax.vmap(key, in_axes=(None, 0, 0)))(slots.key, lanes.sample, lanes.count).reshape(-1)


def _write(buffer: Array, new: Array, index: Int32[Array, ""], axis: int) -> Array:
    """The buffer with `new` at one index of `axis`, a dim that `new` lacks."""
    return jax.lax.dynamic_update_slice_in_dim(buffer, jnp.expand_dims(new, axis), index, axis)


def _append(own: Array, stage: Array, written: Int32[Array, "N C"], computed: Bool[Array, "N C chunk"]) -> Array:
    """The own cache with each lane's stage after its `written` columns, from the first column on when it is full.

    Columns that were not computed stay what they are: a sample that has ended may go on where they are.
    """
    first = jax.lax.rem(written, own.shape[3])

    def one(own: Array, stage: Array, first: Array, computed: Array) -> Array:
        before = jax.lax.dynamic_slice_in_dim(own, first, stage.shape[1], axis=1)
        return jax.lax.dynamic_update_slice_in_dim(own, jnp.where(computed[:, None], stage, before), first, axis=1)

    return jax.vmap(jax.vmap(one))(own, stage, first, computed)
