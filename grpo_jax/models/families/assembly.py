# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From single tensors in the Hugging Face layout to our parameters, and back, one tensor in memory at a time."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.registry import weight_names
from grpo_jax.models.families.weight_names import Path, WeightName
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.parallel.transfer import fetch

ReadTensor = Callable[[WeightName, int, tuple[int, ...]], np.ndarray]
"""Reads one tensor by its name, layer number and expected Hugging Face shape, in any float dtype."""

Place = Callable[[np.ndarray, tuple[str, ...], Path], Any]
"""Puts one stacked float32 parameter, whose dims have these logical names, on devices; the path is where it stands."""


def assemble(arch: Architecture, read: ReadTensor, place: Place | None = None) -> Params:
    """Float32 parameters of the model, each stacked over layers on the host and then placed.

    Args:
        arch: What to build.
        read: Called once for every tensor, in the order of `weight_names` and then of layers.
        place: Where a finished parameter goes; the default device where left out.
    """
    place = place or (lambda array, dims, path: jnp.asarray(array))
    _, shapes, dims = abstract_params(arch)
    params: Params = {}
    for weight in weight_names(arch):
        shape = _at(shapes, weight.path).shape
        _put(params, weight.path, place(_stack(weight, shape, read), _at(dims, weight.path), weight.path))
    return params


def disassemble(arch: Architecture, params: Params, dtype: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor under its Hugging Face name, in its layout there and in `dtype`; fetched as they are asked for.

    Tables may have more rows than the architecture: the last ones, which pad them, are left out.

    Raises:
        KeyError: Where `params` lacks a parameter of the architecture.
    """
    _, shapes, _ = abstract_params(arch)
    for weight in weight_names(arch):
        param = _at(params, weight.path)
        if not weight.stacked:
            num_rows = _at(shapes, weight.path).shape[0]
            yield weight.name(0), weight.to_foreign(_fetch(param, dtype)[:num_rows])
            continue
        for layer in range(arch.num_layers):
            yield weight.name(layer), weight.to_foreign(_fetch_layer(param, layer, dtype))


def tensor_shapes(arch: Architecture) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor by its Hugging Face name."""
    _, shapes, _ = abstract_params(arch)
    result = {}
    for weight in weight_names(arch):
        shape = _at(shapes, weight.path).shape
        for layer in range(arch.num_layers if weight.stacked else 1):
            result[weight.name(layer)] = weight.foreign_shape(shape[1:] if weight.stacked else shape)
    return result


def _stack(weight: WeightName, shape: tuple[int, ...], read: ReadTensor) -> np.ndarray:
    target = np.empty(shape, np.float32)
    layers = target if weight.stacked else target[None]
    layer_shape = layers.shape[1:]
    foreign_shape = weight.foreign_shape(layer_shape)
    for layer, slot in enumerate(layers):
        slot[...] = weight.to_ours(read(weight, layer, foreign_shape), layer_shape)
    return target


@partial(jax.jit, static_argnames="dtype")
def _cast_layer(param: jax.Array, layer: jax.Array, dtype: Any) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(param, layer, keepdims=False).astype(dtype)


def _fetch_layer(param: jax.Array, layer: int, dtype: Any) -> np.ndarray:
    return fetch(_cast_layer(param, jnp.int32(layer), dtype))


def _fetch(param: jax.Array, dtype: Any) -> np.ndarray:
    return fetch(param).astype(dtype)


def _at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _put(tree: Params, path: Path, value: jax.Array) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value
