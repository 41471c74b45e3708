# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The plain way to sample, which the engine is measured against: one program, one static cache, every row to the end.

Each sample is a row of its own with its prompt's keys and values in it, in a cache of P + limit columns that is
allocated at once; the loop goes on until the slowest row has ended. It shares the transformer's blocks, the draw and
the meaning of a key with the engine, and nothing else: no slots, no chunks, no serving view, no scheduler.

    column    0  1  2  3 | 4  5  6 .    P = 4 columns of prompts, right-padded, then one a step for all rows
    row 0     p0 p1 .  . | a  b  c      position of column 4 + i in a row: its prompt's length + i
    row 1     p0 p1 p2 p3| a  b  c
"""

import functools
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32, Int32, Key

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.attention import MASKED, group_queries
from grpo_jax.models.rope import rotations_at
from grpo_jax.models.transformer import Params, Transformer, abstract_params, rms_norm
from grpo_jax.sampling.request import SampleRequest
from grpo_jax.sampling.token_choice import Cuts, choose

Cache = list[tuple[Float[Array, "B S K H"], Float[Array, "B S K H"]]]


class Rows(NamedTuple):
    """One sample a row; everything that its tokens depend on beside the weights."""

    prompt_ids: Int32[np.ndarray, "B P"]
    prompt_length: Int32[np.ndarray, " B"]
    temperature: Float32[np.ndarray, " B"]
    limit: Int32[np.ndarray, " B"]
    cuts: Cuts
    stop_ids: Int32[np.ndarray, "B stops"]
    key: Key[Array, " B"]


class Sampled(NamedTuple):
    """What the program returns; a row's tokens and log-probabilities are those before its length."""

    tokens: Int32[Array, "B limit"]
    logprobs: Float32[Array, "B limit"]
    lengths: Int32[Array, " B"]


def make_rows(
    requests: Sequence[SampleRequest],
    num_samples: int,
    *,
    seed: int,
    step: int,
    stop_ids: Sequence[Sequence[int]],
    num_prompt: int | None = None,
) -> Rows:
    """One row for each sample, those of a request together.

    Args:
        requests: The prompts and settings.
        num_samples: Samples of each.
        seed: As in `SamplingEngine.sample`, like `step`.
        step: Training step.
        stop_ids: For each request the ids that end its rows.
        num_prompt: Columns for prompts; default the longest one's.
    """
    each = [request for request in requests for _ in range(num_samples)]
    lengths = np.array([len(request.token_ids) for request in each], np.int32)
    prompts = np.zeros((len(each), num_prompt or int(lengths.max())), np.int32)
    for row, request in zip(prompts, each, strict=True):
        row[: len(request.token_ids)] = request.token_ids
    base = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), step)
    keys = [
        jax.random.fold_in(jax.random.fold_in(base, np.uint32(zlib.crc32(request.noise_id.encode()))), sample)
        for request in requests
        for sample in range(num_samples)
    ]
    most = max(1, *(len(ids) for ids in stop_ids))
    padded = [[*ids, *[-1] * (most - len(ids))] for ids in stop_ids]
    return Rows(
        prompt_ids=prompts,
        prompt_length=lengths,
        temperature=np.array([request.temperature for request in each], np.float32),
        limit=np.array([request.max_tokens for request in each], np.int32),
        cuts=Cuts(
            np.array([request.top_p for request in each], np.float32),
            np.array([request.top_k for request in each], np.int32),
            np.array([request.min_p for request in each], np.float32),
        ),
        stop_ids=np.repeat(np.array(padded, np.int32), num_samples, axis=0),
        key=jnp.stack(keys),
    )


@functools.partial(jax.jit, static_argnames=("arch", "limit", "with_cuts"))
def sample_rows(params: Params, rows: Rows, *, arch: Architecture, limit: int, with_cuts: bool = False) -> Sampled:
    """Draw every row to its end.

    Args:
        params: Weights as `models.transformer.split` returns them; computed with in their dtype.
        rows: From `make_rows`.
        arch: The model.
        limit: Columns of the cache for sampled tokens: at least every row's limit.
        with_cuts: Whether any row has top-p, top-k or min-p on.
    """
    num_rows, num_prompt = rows.prompt_ids.shape
    model: Transformer = nnx.merge(abstract_params(arch)[0], params)
    graph, stacked = nnx.split(model.layers)
    # Unrolled: a scan would copy each layer's weights and cache for every token.
    blocks = [nnx.merge(graph, jax.tree.map(lambda leaf, i=i: leaf[i], stacked)) for i in range(arch.num_layers)]
    columns = jnp.arange(num_prompt + limit)
    beyond = rows.prompt_length[:, None] + columns - num_prompt
    key_positions = jnp.where(columns < num_prompt, columns, beyond)
    real = (columns >= num_prompt) | (columns < rows.prompt_length[:, None])

    def forward(x: Array, positions: Array, cache: Cache, first: Array | int) -> tuple[Array, Cache]:
        """Tokens at `positions` [B, T], written to the columns from `first` on; hidden states and the new cache."""
        rotations = rotations_at(arch, positions)
        distance = positions[:, :, None] - key_positions[:, None, :]
        written: Cache = []
        for layer, block in enumerate(blocks):
            sliding = arch.sliding_layers[layer]
            q, k, v = block.attention_inputs(x, rotations[int(sliding)])
            own = [
                jax.lax.dynamic_update_slice_in_dim(part, new, first, axis=1)
                for part, new in zip(cache[layer], (k, v), strict=True)
            ]
            written.append((own[0], own[1]))
            seen = real[:, None] & (distance >= 0) & (columns < first + x.shape[1])
            if sliding and arch.sliding_window is not None:
                seen &= distance < arch.sliding_window
            x = block.residual(x, _attend(q, own[0], own[1], seen, arch.query_scale))
        return rms_norm(x, model.final_norm[...], arch), written

    def draw(hidden: Array, n: Array | int) -> tuple[Array, Array]:
        logits = jnp.einsum("bd,vd->bv", hidden, model.head_table, preferred_element_type=jnp.float32)
        keys = jax.vmap(lambda key: jax.random.fold_in(key, n))(rows.key)
        choice = choose(logits, jnp.asarray(rows.temperature), keys, rows.cuts if with_cuts else None)
        return choice.token, choice.logprob

    shape = (num_rows, num_prompt + limit, arch.num_kv_heads, arch.head_size)
    dtype = model.embedding[...].dtype
    empty = [(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)) for _ in range(arch.num_layers)]
    positions = jnp.broadcast_to(jnp.arange(num_prompt), (num_rows, num_prompt))
    hidden, cache = forward(model.embed(rows.prompt_ids), positions, empty, 0)
    last = jnp.take_along_axis(hidden, rows.prompt_length[:, None, None] - 1, axis=1)[:, 0]

    def step(carry: tuple[Array, Array, Cache, Bool[Array, " B"], Sampled]) -> tuple:
        n, hidden, cache, done, out = carry
        token, logprob = draw(hidden, n)
        out = Sampled(
            out.tokens.at[:, n].set(jnp.where(done, 0, token)),
            out.logprobs.at[:, n].set(jnp.where(done, 0.0, logprob)),
            out.lengths + ~done,
        )
        done |= (token[:, None] == rows.stop_ids).any(axis=1) | (n + 1 >= rows.limit)
        hidden, cache = forward(model.embed(token[:, None]), (rows.prompt_length + n)[:, None], cache, num_prompt + n)
        return n + 1, hidden[:, 0], cache, done, out

    start = Sampled(
        jnp.zeros((num_rows, limit), jnp.int32), jnp.zeros((num_rows, limit)), jnp.zeros(num_rows, jnp.int32)
    )
    carry = (jnp.int32(0), last, cache, jnp.zeros(num_rows, bool), start)
    return jax.lax.while_loop(lambda carry: ~carry[3].all(), step, carry)[4]


def _attend(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B S K H"],
    v: Float[Array, "B S K H"],
    seen: Bool[Array, "B T S"],
    scale: float,
) -> Float[Array, "B T N H"]:
    grouped = group_queries(q * scale, k.shape[2])
    scores = jnp.einsum("btkrh,bskh->bkrts", grouped, k, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(jnp.where(seen[:, None, None], scores, MASKED), axis=-1).astype(v.dtype)
    return jnp.einsum("bkrts,bskh->btkrh", weights, v).reshape(q.shape)
