# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The serving view of the policy: the same weights laid out for decode, one array a layer, in the compute dtype.

Decode runs its layers unrolled: a scan would copy each layer's slice of the stacked weights for every token. Query, key
and value weights are one matrix, since three thin products of a few rows cost more than one. The view is made once a
step by one compiled program, never inside the token loop.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.lora import LoraSpec, merged_layer, merged_tables
from grpo_jax.models.transformer import Block, Params

ServingWeights = dict[str, Any]
"""{"embedding": [V, D], "head": [V, D] where untied, "final_norm": [D], "layers": L dicts for `ServingBlock`}."""

FUSED = ("query", "key", "value")


class ServingBlock(Block):
    """A `Block` whose projections are flat matrices: `query_key_value` [D, K * (R + 2) * H] and `output` [N * H, D].

    Columns are ordered by key-value head, each with its R query heads, its key and its value, so that a split over
    `tensor` keeps heads whole.
    """

    def __init__(self, arch: Architecture, *, rngs: nnx.Rngs, dtype: Any):
        super().__init__(arch, rngs=rngs, dtype=dtype)
        self.query_key_value = nnx.Param(jnp.zeros((), dtype))
        if arch.qkv_bias:
            self.query_key_value_bias = nnx.Param(jnp.zeros((), dtype))
        for name in FUSED:
            delattr(self, name)
            if arch.qkv_bias:
                delattr(self, f"{name}_bias")

    def project(
        self, normed: Float[Array, "... T D"]
    ) -> tuple[Float[Array, "... T N H"], Float[Array, "... T K H"], Float[Array, "... T K H"]]:
        """Queries, keys and values before their norms and rotation."""
        arch = self.arch
        flat = normed @ self.query_key_value[...]
        if arch.qkv_bias:
            flat = flat + self.query_key_value_bias[...]
        per_kv_head = arch.num_heads // arch.num_kv_heads
        heads = flat.reshape(*normed.shape[:-1], arch.num_kv_heads, per_kv_head + 2, arch.head_size)
        q = heads[..., :per_kv_head, :].reshape(*normed.shape[:-1], arch.num_heads, arch.head_size)
        return q, heads[..., per_kv_head, :], heads[..., per_kv_head + 1, :]

    def merge_heads(self, attended: Float[Array, "... T N H"]) -> Float[Array, "... T D"]:
        """The attention's contribution to the residual stream."""
        return attended.reshape(*attended.shape[:-2], -1) @ self.output[...]


def serving_view(
    params: Params, arch: Architecture, dtype: Any, head_rows: int | None = None, lora: LoraSpec | None = None
) -> ServingWeights:
    """Unstack, merge adapters, cast and fuse, one layer after another.

    The output head gets rows of zeros up to `head_rows`, so that devices can share the vocabulary in whole blocks.
    Call it under `jax.jit`, with `out_shardings` to reshard in the same program.
    """

    def view(layer: int) -> dict[str, Array]:
        own = merged_layer(jax.tree.map(lambda leaf: leaf[layer], params["layers"]), lora)
        return _fused({name: leaf.astype(dtype) for name, leaf in own.items()}, arch)

    rest = {name: leaf.astype(dtype) for name, leaf in merged_tables(params).items() if name != "layers"}
    head = "embedding" if arch.tied_embeddings else "head"
    if head_rows is not None:
        rest[head] = jnp.pad(rest[head], ((0, head_rows - rest[head].shape[0]), (0, 0)))
    return {**rest, "layers": [view(layer) for layer in range(arch.num_layers)]}


def serving_names(names: Params, arch: Architecture) -> ServingWeights:
    """Logical dim names of the view, from those of the stacked parameters; weights stay whole over `fsdp`.

    The rollout reads every weight for every token, so only `tensor` may split them.
    """

    def whole(dims: tuple[str, ...]) -> tuple[str, ...]:
        return tuple("whole" if dim == "embed" else dim for dim in dims)

    layer = {name: whole(dims[1:]) for name, dims in names["layers"].items() if not name.startswith(FUSED)}
    layer |= {name: whole(names["layers"][name][1:]) for name in ("query_norm", "key_norm") if name in names["layers"]}
    layer |= {"query_key_value": ("whole", "kv_heads"), "output": ("heads", "whole")}
    if arch.qkv_bias:
        layer["query_key_value_bias"] = ("kv_heads",)
    rest = {name: whole(dims) for name, dims in names.items() if name != "layers"}
    return {**rest, "layers": [layer] * arch.num_layers}


def serving_blocks(weights: ServingWeights, arch: Architecture) -> list[ServingBlock]:
    """The layers as modules, for use inside a traced function."""
    abstract = nnx.eval_shape(lambda: ServingBlock(arch, rngs=nnx.Rngs(0), dtype=jnp.float32))
    graph = nnx.split(abstract)[0]
    return [nnx.merge(graph, layer) for layer in weights["layers"]]


def _fused(layer: dict[str, Array], arch: Architecture) -> dict[str, Array]:
    fused = {
        "query_key_value": _by_kv_head([layer.pop(name) for name in FUSED], arch),
        "output": layer.pop("output").reshape(-1, arch.width),
    }
    if arch.qkv_bias:
        fused["query_key_value_bias"] = _by_kv_head([layer.pop(f"{name}_bias") for name in FUSED], arch)
    return layer | fused


def _by_kv_head(projections: list[Float[Array, "*D heads H"]], arch: Architecture) -> Float[Array, "*D columns"]:
    """Weights or biases of query, key and value in the column order of `ServingBlock`."""
    grouped = [part.reshape(*part.shape[:-2], arch.num_kv_heads, -1, arch.head_size) for part in projections]
    together = jnp.concatenate(grouped, axis=-2)
    return together.reshape(*together.shape[:-3], -1)
