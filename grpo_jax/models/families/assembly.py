# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From single tensors in the Hugging Face layout to our parameters, and back, no more in memory than is asked for."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.registry import weight_names
from grpo_jax.models.families.weight_names import Index, Path, WeightName
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.parallel.transfer import fetch

ReadTensor = Callable[[WeightName, int, tuple[int, ...], Index], np.ndarray]
"""Reads a part of one tensor by its name, layer number, expected Hugging Face shape and the part's index there, in any
float dtype."""


class Readable(Protocol):
    """An array on the host, or one that is still stored: a part of it is read when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """That parts come in."""
        ...

    def __getitem__(self, index: Index, /) -> np.ndarray: ...

    def astype(self, dtype: Any, /) -> "Readable":
        """The same, its parts coming in another dtype."""
        ...


Place = Callable[[Readable, tuple[str, ...], Path], Any]
"""Puts one stacked float32 parameter, whose dims have these logical names, on devices; the path is where it stands."""


def place_whole(array: Readable, dims: tuple[str, ...], path: Path) -> jax.Array:
    """All of a parameter on the default device."""
    return jnp.asarray(array)


class StoredParameter:
    """One of our parameters as it lies in a model's files, stacked over layers only where it is read.

    Attributes:
        shape: Of the whole.
        dtype: That parts are read to.
    """

    def __init__(self, weight: WeightName, shape: tuple[int, ...], read: ReadTensor, dtype: Any = np.float32):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._weight, self._read = weight, read

    def __getitem__(self, index: Index) -> np.ndarray:
        """Read a part, one slice a dim."""
        bounds = tuple(slice(*own.indices(size)[:2]) for own, size in zip(index, self.shape, strict=True))
        target = np.empty([own.stop - own.start for own in bounds], self.dtype)
        stacked = self._weight.stacked
        layer_shape = self.shape[1:] if stacked else self.shape
        own = bounds[1:] if stacked else bounds
        there, read_shape = self._weight.foreign_index(own, layer_shape)
        within = tuple(
            slice(None) if part.stop - part.start == size else part for part, size in zip(own, read_shape, strict=True)
        )
        foreign_shape = self._weight.foreign_shape(layer_shape)
        first = bounds[0].start if stacked else 0
        for layer, slot in enumerate(target if stacked else target[None], start=first):
            tensor = self._read(self._weight, layer, foreign_shape, there)
            slot[...] = self._weight.to_ours(tensor, read_shape)[within]
        return target

    def astype(self, dtype: Any) -> "StoredParameter":
        """The same, read to another float dtype."""
        return StoredParameter(self._weight, self.shape, self._read, dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The whole."""
        return self[tuple(slice(0, size) for size in self.shape)].astype(dtype or self.dtype, copy=False)


def assemble(arch: Architecture, read: ReadTensor, place: Place | None = None) -> Params:
    """Float32 parameters of the model, placed one after another.

    Args:
        arch: What to build.
        read: Called for the parts that `place` asks for, of each parameter in the order of layers.
        place: Where a parameter goes; the default device, whole, where left out.
    """
    place = place or place_whole
    _, shapes, dims = abstract_params(arch)
    params: Params = {}
    for weight in weight_names(arch):
        stored = StoredParameter(weight, _at(shapes, weight.path).shape, read)
        _put(params, weight.path, place(stored, _at(dims, weight.path), weight.path))
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
