# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Low-rank adapters (LoRA, https://arxiv.org/abs/2106.09685): small factors trained beside frozen weights.

A weight W [inputs, outputs] acts as W + scale · A B with A [inputs, rank] and B [rank, outputs]. B starts at 0, so a
policy starts as its base. While training, x A B is added to x W, so no gradient of W's size exists; for sampling and
export the product is merged into W.
"""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from grpo_jax.model_config import LoraConfig
from grpo_jax.models.matrix_product import NUM_OUTPUTS, matrix_product
from grpo_jax.models.quantization import dequantized, is_quantized

Params = dict[str, Any]

A_SUFFIX, B_SUFFIX = "_lora_a", "_lora_b"

DELTAS = {"embedding_delta": "embedding", "head_delta": "head"}
"""Of a model with a reasoning vocabulary: what the last rows of a frozen table have learned, by the table's name."""


@dataclass(frozen=True)
class LoraSpec:
    """Resolved `LoraConfig`; hashable, so it is a static part of a model.

    Attributes:
        rank: Size of the inner dim.
        scale: Factor on A B.
        targets: Names of the layer weights that have adapters.
    """

    rank: int
    scale: float
    targets: tuple[str, ...]


def lora_spec(config: LoraConfig | None) -> LoraSpec | None:
    """The adapters that a config asks for; None where it asks for none.

    The scale is alpha / rank, or alpha / sqrt(rank) where rank-stabilised (https://arxiv.org/abs/2312.03732).
    """
    if config is None:
        return None
    scale = config.alpha / (config.rank**0.5 if config.rank_stabilized else config.rank)
    return LoraSpec(config.rank, scale, tuple(config.targets))


def adapters_of(params: Params) -> Params:
    """The adapters alone, {"layers": {"query_lora_a": ..., ...}}, and the deltas of the twins' rows, if any."""
    deltas = {name: params[name] for name in DELTAS if name in params}
    return {**deltas, "layers": {name: leaf for name, leaf in params["layers"].items() if _is_adapter(name)}}


def join(frozen: Params, trained: Params) -> Params:
    """One set of weights out of the frozen ones (none where all are trained) and the trained ones."""
    if not frozen:
        return trained
    return {**frozen, **trained, "layers": {**frozen["layers"], **trained["layers"]}}


def merged(params: Params, spec: LoraSpec | None) -> Params:
    """The weights that act like these without adapters and in full width.

    Float32 where adapters were added or codes became numbers. Traceable.
    """
    if spec is None and not any(is_quantized(leaf) for leaf in params["layers"].values()):
        return params
    return {**merged_tables(params), "layers": jax.vmap(partial(merged_layer, spec=spec))(params["layers"])}


def merged_layer(layer: Params, spec: LoraSpec | None) -> Params:
    """The same of one layer's weights; the program that makes the serving view holds one layer at a time so."""
    layer = {
        name: dequantized(**leaf, num_outputs=NUM_OUTPUTS[name], dtype=jnp.float32) if is_quantized(leaf) else leaf
        for name, leaf in layer.items()
    }
    if spec is None:
        return layer
    for name in spec.targets:
        a, b = layer.pop(name + A_SUFFIX), layer.pop(name + B_SUFFIX)
        product = jnp.tensordot(a.astype(jnp.float32), b.astype(jnp.float32), axes=1)
        layer[name] = layer[name].astype(jnp.float32) + spec.scale * product
    return layer


def merged_tables(params: Params) -> Params:
    """The weights with the deltas of twins' rows added to their tables; float32 where there are any."""
    tables = {
        table: with_last_rows_moved(params[table].astype(jnp.float32), params[delta].astype(jnp.float32))
        for delta, table in DELTAS.items()
        if delta in params
    }
    return {**{name: leaf for name, leaf in params.items() if name not in DELTAS}, **tables}


def with_last_rows_moved(table: Float[Array, "V D"], delta: Float[Array, "rows D"]) -> Float[Array, "V D"]:
    """A table whose last rows have these added."""
    num_kept = table.shape[0] - delta.shape[0]
    return jnp.concatenate([table[:num_kept], table[num_kept:] + delta])


def adapted(x: Array, a: Array, b: Array, scale: float, num_outputs: int) -> Array:
    """What an adapter adds: scale · x A B, the last dims of x contracted with all of A's but its last."""
    return scale * matrix_product(matrix_product(x, a, 1), b, num_outputs)


def fresh_adapters(shapes: Params, key: PRNGKeyArray) -> Params:
    """Adapters of a policy equal to its base: A uniform within 1 / sqrt(inputs), as PEFT draws it, all else zero.

    Args:
        shapes: `jax.ShapeDtypeStruct` of each adapter, as `adapters_of` nests them.
        key: Drawn from once for every A, in the order of names.
    """
    names = sorted(shapes["layers"])
    keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))

    def start(name: str, shape: Any) -> Array:
        if name.endswith(B_SUFFIX):
            return jnp.zeros(shape.shape, shape.dtype)
        bound = prod(shape.shape[1:-1]) ** -0.5
        return jax.random.uniform(keys[name], shape.shape, shape.dtype, -bound, bound)

    deltas = {name: jnp.zeros(leaf.shape, leaf.dtype) for name, leaf in shapes.items() if name in DELTAS}
    return {**deltas, "layers": {name: start(name, shapes["layers"][name]) for name in names}}


def _is_adapter(name: str) -> bool:
    return name.endswith((A_SUFFIX, B_SUFFIX))
