# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of a batch's responses: the one forward that reference, old policy and update share."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float32, Int32, Shaped

from grpo_jax.model_config import Remat
from grpo_jax.models.kernel_attention import XLA_UPDATE_ATTENTION, UpdateAttention
from grpo_jax.models.quantization import cast
from grpo_jax.models.transformer import Params, Transformer
from grpo_jax.objective.logprobs import HeadSharding, token_logprobs
from grpo_jax.parallel.rules import MESH_AXES
from grpo_jax.rollout.packing import TrainBatch


def response_logprobs(
    graph: nnx.GraphDef,
    params: Params,
    rows: TrainBatch,
    *,
    dtype: Any,
    remat: Remat,
    train_entropy: bool = False,
    mesh: Mesh | None = None,
    attention: UpdateAttention = XLA_UPDATE_ATTENTION,
) -> tuple[Float32[Array, "B R C"], Float32[Array, "B R C"]]:
    """Log-probabilities and entropies of one microbatch's response tokens at their sampling temperature.

    Args:
        graph: Static half of the `Transformer`.
        params: Its weights, cast to `dtype` for the computation.
        rows: One microbatch: the arrays of `TrainBatch` without their first dim.
        dtype: Compute dtype; logits and log-probabilities are float32 always.
        remat: What each layer computes again in the backward pass.
        train_entropy: Let gradients flow through the entropies.
        mesh: Devices that share rows and vocabulary; None leaves it to the compiler.
        attention: How the rows attend.
    """
    model: Transformer = nnx.merge(graph, cast(params, dtype))
    ids = in_lines(rows.response_ids, rows.line_tokens)
    num_rows, num_lines, num_tokens = ids.shape
    hidden = model.shared_prompt_hidden_states(
        rows.prompt_ids,
        rows.prompt_lengths,
        ids,
        segments=jnp.where(rows.line_tokens < 0, -1, rows.line_tokens // num_tokens),
        offsets=rows.line_tokens % num_tokens,
        remat=remat,
        how=attention,
    )
    flat = (num_rows, num_lines * num_tokens)
    num_choices = None
    if rows.inside is not None:
        inside = in_lines(rows.inside, rows.line_tokens) != 0
        num_choices = jnp.where(inside, model.arch.num_ids, model.arch.num_base_ids).reshape(flat)
    logprobs, entropies = token_logprobs(
        hidden.reshape(*flat, -1),
        model.head_table,
        ids.reshape(flat),
        rows.temperature,
        train_entropy=train_entropy,
        num_choices=num_choices,
        sharding=None if mesh is None else HeadSharding(mesh, MESH_AXES["batch"], *MESH_AXES["vocab"]),
    )
    return by_response(logprobs, rows.places), by_response(entropies, rows.places)


def in_lines(values: Shaped[Array, "B R C"], line_tokens: Int32[Array, "B J C"]) -> Shaped[Array, "B J C"]:
    """Values of response tokens at the places of the row's lines; 0 in padding."""
    num_rows = values.shape[0]
    found = jnp.take_along_axis(values.reshape(num_rows, -1), jnp.maximum(line_tokens, 0).reshape(num_rows, -1), axis=1)
    return jnp.where(line_tokens < 0, 0, found.reshape(line_tokens.shape))


def by_response(values: Float[Array, "B JC"], places: Int32[Array, "B R C"]) -> Float[Array, "B R C"]:
    """Values at the places of a row's lines, by response; arbitrary for tokens that are not trained on."""
    return jnp.take_along_axis(values, places.reshape(places.shape[0], -1), axis=1).reshape(places.shape)


def score(
    graph: nnx.GraphDef,
    params: Params,
    batch: TrainBatch,
    *,
    dtype: Any,
    mesh: Mesh | None = None,
    attention: UpdateAttention = XLA_UPDATE_ATTENTION,
) -> Float32[Array, "M B R C"]:
    """Log-probabilities of a whole batch, microbatch by microbatch, without gradient."""
    params = cast(params, dtype)

    def one(rows: TrainBatch) -> Float32[Array, "B R C"]:
        return response_logprobs(graph, params, rows, dtype=dtype, remat="none", mesh=mesh, attention=attention)[0]

    return jax.lax.map(one, jax.tree.map(jnp.asarray, batch))
