# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of sampling, compiled for one model on one mesh, and how what passes between them is laid out.

Every output has a stated sharding: left to the compiler, the cache would come back from the first chunk in another
layout than it went in, and the second chunk would compile again.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Key, UInt32

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.lora import LoraSpec, merged
from grpo_jax.models.transformer import Params
from grpo_jax.parallel.rules import batch_multiple, batch_sharding, param_shardings
from grpo_jax.sampling.buckets import buckets_up_to
from grpo_jax.sampling.decode import KeysValues, Lanes, Slots, compact, decode_chunk, grow, prefill
from grpo_jax.sampling.serving import serving_names, serving_view


class Programs:
    """Compiled programs, each compiled when first used with a shape, and the settings that are fixed with them.

    Attributes:
        by_slot: Sharding of arrays whose first dim is the prompts of a wave.
        slot_multiple: What the number of prompts of a wave is a multiple of.
        stop_ids: Ids that end a completion.
        pad_id: Fill of prompts.
        chunk_tokens: Decode steps of one device program.
        max_prompt_tokens: Longest prompt that will come: the largest prompt bucket.
        max_positions: The model's context, in tokens.
        prompt_buckets: Padded prompt lengths that occur.
        serve: Parameters to serving weights.
        prefill, chunk, grow, compact: The functions of `decode.py`, `chunk` taking its lanes over.
        empty_cache, lane_keys: Those below.
    """

    def __init__(
        self,
        arch: Architecture,
        shapes: Params,
        names: Params,
        mesh: Mesh,
        *,
        dtype: Any,
        stop_ids: Sequence[int],
        pad_id: int,
        chunk_tokens: int,
        max_prompt_tokens: int,
        lora: LoraSpec | None = None,
    ):
        """Set the programs up; nothing is compiled.

        Args:
            arch: The model.
            shapes: Shapes of its parameters, as `abstract_params` returns them.
            names: Logical dim names of its parameters, likewise.
            mesh: Prompts are split over its batch axes, heads over `tensor`.
            dtype: Compute dtype of the serving view and of the cache.
            stop_ids: Ids that end a completion.
            pad_id: Fill of prompts.
            chunk_tokens: Decode steps of one device program.
            max_prompt_tokens: Longest prompt that will come.
            lora: Adapters that come with the parameters of `serve`, to be merged into them.
        """
        self.by_slot, self.slot_multiple = batch_sharding(mesh), batch_multiple(mesh)
        self.stop_ids = np.asarray(sorted(set(stop_ids)), np.int32)
        self.pad_id, self.chunk_tokens = pad_id, chunk_tokens
        self.max_prompt_tokens, self.max_positions = max_prompt_tokens, arch.max_positions
        self.prompt_buckets = buckets_up_to(max_prompt_tokens)

        view = partial(serving_view, arch=arch, dtype=dtype)
        self.serve = jax.jit(
            lambda params: view(merged(params, lora)),
            out_shardings=param_shardings(mesh, jax.eval_shape(view, shapes), serving_names(names, arch)),
        )
        prompt_kv, own_kv = _cache_shardings(arch, mesh)
        slots = Slots._make([prompt_kv, *[self.by_slot] * (len(Slots._fields) - 1)])
        lanes = Lanes._make([own_kv, *[self.by_slot] * (len(Lanes._fields) - 1)])
        self.prefill = jax.jit(partial(prefill, arch=arch), out_shardings=prompt_kv)
        self.chunk = jax.jit(
            partial(decode_chunk, arch=arch, stop_ids=self.stop_ids),
            static_argnames=("num_steps", "with_cuts"),
            donate_argnames="lanes",
            out_shardings=(lanes, self.by_slot),
        )
        self.grow = jax.jit(grow, static_argnames="num_columns", out_shardings=own_kv)
        self.compact = jax.jit(compact, out_shardings=(slots, lanes))
        self.empty_cache = jax.jit(
            partial(empty_cache, arch=arch, dtype=dtype), static_argnums=(0, 1, 2), out_shardings=own_kv
        )
        self.lane_keys = jax.jit(lane_keys, static_argnames="num_samples", out_shardings=self.by_slot)


def empty_cache(num_slots: int, num_samples: int, num_columns: int, *, arch: Architecture, dtype: Any) -> KeysValues:
    """Own keys and values of every layer before the first token."""
    shape = (num_slots, num_samples, arch.num_kv_heads, num_columns, arch.head_size)
    return [(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)) for _ in range(arch.num_layers)]


def lane_keys(
    seed: UInt32[Array, ""], step: UInt32[Array, ""], streams: UInt32[Array, " N"], num_samples: int
) -> Key[Array, "N C"]:
    """Threefry keys of (seed, step, stream, sample): the same wherever and beside whatever a sample is decoded."""
    base = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), step)
    by_stream = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(base, streams)
    by_sample = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    return jax.vmap(by_sample, in_axes=(0, None))(by_stream, jnp.arange(num_samples))


def _cache_shardings(arch: Architecture, mesh: Mesh) -> tuple[Any, Any]:
    """Shardings of one layer's prompt cache [N, K, P, H] and own cache [N, C, K, S, H]."""
    num_slots, num_heads, size = batch_multiple(mesh), arch.num_kv_heads, arch.head_size
    shapes = (
        jax.ShapeDtypeStruct((num_slots, num_heads, 1, size), jnp.float32),
        jax.ShapeDtypeStruct((num_slots, 1, num_heads, 1, size), jnp.float32),
    )
    names = (("batch", "kv_heads", "whole", "head"), ("batch", "whole", "kv_heads", "whole", "head"))
    return param_shardings(mesh, shapes, names)
