# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of one query a lane over the three parts of the decode cache, under one softmax.

Lanes are group-major, so the prompt's part is one batched matrix product that reads each prompt once for all lanes of
its slot. Every part is seen over one contiguous span of positions:

    part     keys             position p is in column
    prompt   [N, K, P, H]     p
    own      [N, C, K, S, H]  p % S     (a sliding layer keeps its last S positions so)
    stage    [N, C, K, T, H]  p
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from grpo_jax.models.attention import group_queries
from grpo_jax.models.attention_parts import AttentionPart, attend_part, merge_parts
from grpo_jax.sampling.kernels.ragged_columns import visible_columns

KeysValues = tuple[Float[Array, "..."], Float[Array, "..."]]
"""Keys and values of one part in one layer, head-major."""


class Span(NamedTuple):
    """Positions [first, end) of a part that a lane's query sees; none where end <= first."""

    first: Int32[Array, " N #C"]
    end: Int32[Array, " N #C"]


class Spans(NamedTuple):
    """What the queries of one step see."""

    prompt: Span
    own: Span
    stage: Span


AttendOwn = Callable[[Array, Array, Array, Int32[Array, "N C"], Int32[Array, "N C"]], AttentionPart]
"""Attention of q [N, C, K, R, H] to the own part's keys and values between two positions, by a kernel."""


def attend_cached(
    q: Float[Array, "N C heads H"],
    prompt: KeysValues,
    own: KeysValues,
    stage: KeysValues,
    spans: Spans,
    scale: float,
    attend_own: AttendOwn | None = None,
) -> Float[Array, "N C heads H"]:
    """Attend to the prompt of the slot, to the lane's own earlier tokens and to those of the present chunk.

    Args:
        q: One query a lane and head.
        prompt: Of each slot.
        own: Of each lane, from earlier chunks.
        stage: Of each lane, from this chunk, the present token included.
        spans: What is seen of each part.
        scale: Factor on the scores.
        attend_own: Reads the own part, the one whose lengths differ by lane; None reads all its columns, as plain XLA.
    """
    grouped = group_queries(q * scale, stage[0].shape[2])
    by_head = jnp.swapaxes(grouped, 1, 2)
    prompt_k, prompt_v = (part[:, :, None] for part in prompt)
    by_head_part = attend_part(by_head, prompt_k, prompt_v, _visible(spans.prompt, prompt)[:, None, :, None])
    to_prompt = AttentionPart(*(jnp.swapaxes(leaf, 1, 2) for leaf in by_head_part))
    if attend_own is None:
        to_own = attend_part(grouped, *own, _visible(spans.own, own)[:, :, None, None])
    else:
        to_own = attend_own(grouped, *own, *spans.own)
    to_stage = attend_part(grouped, *stage, _visible(spans.stage, stage)[:, :, None, None])
    return merge_parts(to_prompt, to_own, to_stage, dtype=q.dtype).reshape(q.shape)


def _visible(span: Span, part: KeysValues) -> Bool[Array, " N #C columns"]:
    num_columns = part[0].shape[-2]
    return visible_columns(jnp.arange(num_columns), span.first[..., None], span.end[..., None], num_columns)
