# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of a batch's responses: the one forward that reference, old policy and update share."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float32

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
    remat: bool,
    train_entropy: bool = False,
    mesh: Mesh | None = None,
) -> tuple[Float32[Array, "B R C"], Float32[Array, "B R C"]]:
    """Log-probabilities and entropies of one microbatch's response tokens at their sampling temperature.

    Args:
        graph: Static half of the `Transformer`.
        params: Its weights, cast to `dtype` for the computation.
        rows: One microbatch: the arrays of `TrainBatch` without their first dim.
        dtype: Compute dtype; logits and log-probabilities are float32 always.
        remat: Recompute each layer in the backward pass.
        train_entropy: Let gradients flow through the entropies.
        mesh: Devices that share rows and vocabulary; None leaves it to the compiler.
    """
    model: Transformer = nnx.merge(graph, cast(params, dtype))
    hidden = model.shared_prompt_hidden_states(rows.prompt_ids, rows.prompt_lengths, rows.response_ids, remat=remat)
    num_rows, num_responses, num_tokens, width = hidden.shape
    arch, num_choices = model.arch, None
    if rows.inside is not None:
        num_choices = jnp.where(rows.inside, arch.num_ids, arch.num_base_ids)
    flat = (num_rows, num_responses * num_tokens)
    logprobs, entropies = token_logprobs(
        hidden.reshape(*flat, width),
        model.head_table,
        rows.response_ids.reshape(flat),
        rows.temperature,
        train_entropy=train_entropy,
        num_choices=None if num_choices is None else num_choices.reshape(flat),
        sharding=None if mesh is None else HeadSharding(mesh, MESH_AXES["batch"], *MESH_AXES["vocab"]),
    )
    return logprobs.reshape(rows.response_ids.shape), entropies.reshape(rows.response_ids.shape)


def score(
    graph: nnx.GraphDef, params: Params, batch: TrainBatch, *, dtype: Any, mesh: Mesh | None = None
) -> Float32[Array, "M B R C"]:
    """Log-probabilities of a whole batch, microbatch by microbatch, without gradient."""
    params = cast(params, dtype)

    def one(rows: TrainBatch) -> Float32[Array, "B R C"]:
        return response_logprobs(graph, params, rows, dtype=dtype, remat=False, mesh=mesh)[0]

    return jax.lax.map(one, jax.tree.map(jnp.asarray, batch))
