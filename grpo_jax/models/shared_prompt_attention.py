# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Attention of a training row [prompt | lines of responses]: the prompt to itself, lines to it and to themselves."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.kernel_attention import UpdateAttention, attend_lines_by_kernel
from grpo_jax.models.partwise_attention import NO_WINDOW, attend_lines

Attend = Callable[[Array, Array, Array, Array | int | None], Float[Array, "B T N H"]]
"""Attention of queries, keys and values [B, T, ..] of whole rows within a window; `layer_windows` says which."""


def layer_windows(arch: Architecture, longest: int) -> tuple[int | None, int | None]:
    """Windows of global and of sliding layers, None for all tokens, in rows whose responses end by position `longest`.

    Where both kinds of layer share a program and one has a window, the other has one that hides nothing.
    """
    window = arch.sliding_window
    if not any(arch.sliding_layers) or window is None or window >= longest:
        return None, None
    return (None if all(arch.sliding_layers) else NO_WINDOW), window


def shared_prompt_attention(
    how: UpdateAttention,
    scale: float,
    prompt_lengths: Int[Array, " B"],
    num_prompt: int,
    positions: Int[Array, "B J C"],
    segments: Int[Array, "B J C"] | None,
) -> Attend:
    """How the tokens of such rows attend.

    Args:
        how: Kernels want rows without windows; `choose_update_attention` sees to it.
        scale: Factor on the scores.
        prompt_lengths: Real tokens of each prompt.
        num_prompt: P, with padding.
        positions: Of the tokens in lines, going on from their prompt's.
        segments: Which response each belongs to, -1 for padding. None: a line is a response.
    """
    num_rows, num_lines, num_tokens = positions.shape

    def attend(q: Array, k: Array, v: Array, window: Array | int | None) -> Array:
        prompt_q, prompt_k, prompt_v = (values[:, None, :num_prompt] for values in (q, k, v))
        lines_q, lines_k, lines_v = (
            values[:, num_prompt:].reshape(*positions.shape, *values.shape[2:]) for values in (q, k, v)
        )
        prompt = (prompt_k[:, 0], prompt_v[:, 0], prompt_lengths)
        if how.path == "xla":
            whole = jnp.zeros((num_rows, 1, num_prompt), jnp.int32)
            columns = jnp.broadcast_to(jnp.arange(num_prompt), whole.shape)
            own = jnp.zeros_like(positions) if segments is None else segments
            of_prompt = attend_lines(prompt_q, prompt_k, prompt_v, columns, whole, scale, window)
            of_lines = attend_lines(lines_q, lines_k, lines_v, positions, own, scale, window, prompt)
        else:
            of_prompt = attend_lines_by_kernel(how, prompt_q, prompt_k, prompt_v, None, scale)
            of_lines = attend_lines_by_kernel(how, lines_q, lines_k, lines_v, segments, scale, prompt)
        of_lines = of_lines.reshape(num_rows, num_lines * num_tokens, *q.shape[2:])
        return jnp.concatenate([of_prompt[:, 0], of_lines], axis=1)

    return attend
