# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Frozen weights in 8 or 4 bits under adapters (QLoRA, https://arxiv.org/abs/2305.14314).

The seven matrices of every layer are kept as codes and scales, and become numbers again inside the layer that uses
them, in the compute dtype; embeddings, head, norms and biases stay as they are.

    int8  code = round(w / scale), scale = absmax / 127 of each output over all its inputs
    nf4   the nearest of the 16 levels of the paper's NormalFloat to w / scale, scale = absmax of 64 neighbouring inputs
          of one output; two codes a byte. As in bitsandbytes without double quantisation: its blocks run over the
          flattened [outputs, inputs] matrix, which are ours wherever 64 divides the inputs

Scales are float32 always: int8 takes 8 bits and a little a weight, nf4 4.5.

The functions are our own because qwix, which has both formats, dequantises nf4 by a gather over the flattened array:
under a mesh every layer's codes would be gathered whole (its int8 is fine), and its LoRA provider patches JAX's
functions while tracing, where ours is a plain pytree that a scan slices. The tests compare with it.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int8, UInt8

from grpo_jax.models.matrix_product import NUM_OUTPUTS, matrix_product

Params = dict[str, Any]
Quantization = Literal["int8", "nf4"]

BLOCK = 64
"""Neighbouring inputs that share a scale in nf4, at most."""

NF4_LEVELS = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""Quantiles of the normal distribution scaled to [-1, 1], zero among them: appendix E of the paper."""


class QuantizedMatrix(nnx.Module):
    """The codes and scales of one matrix in all layers; takes the place of an `nnx.Param` in a `Block`.

    Attributes:
        num_outputs: How many of the last dims are outputs.
        codes: int8 [L, *inputs, *outputs], or for nf4 uint8 with half the last input dim, even inputs in the low bits.
        scales: float32 with as many dims; an input dim has as many entries as there are blocks along it.
    """

    def __init__(self, name: str, shape: Sequence[int], dims: Sequence[str], kind: Quantization):
        """Set shapes up; values come with `nnx.merge`.

        Args:
            name: Of the matrix, a key of `NUM_OUTPUTS`.
            shape: Of the stacked matrix.
            dims: Its logical dim names.
            kind: How it is kept.
        """
        self.num_outputs = NUM_OUTPUTS[name]
        last_input = len(shape) - self.num_outputs - 1
        codes, scales, scale_dims = [*shape], [*shape], [*dims]
        if kind == "int8":
            for dim in range(1, last_input + 1):
                scales[dim], scale_dims[dim] = 1, "whole"
        else:
            codes[last_input] //= 2
            scales[last_input] //= block_size(shape[last_input])
        code_dtype = jnp.int8 if kind == "int8" else jnp.uint8
        self.codes = nnx.Param(jnp.zeros(codes, code_dtype), logical_axes=tuple(dims))
        self.scales = nnx.Param(jnp.zeros(scales, jnp.float32), logical_axes=tuple(scale_dims))

    def product(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The product of activations and one layer's matrix, which is computed anew for the backward pass.

        Kept, the numbers of all layers would be the full-size copy that the codes are there to avoid.
        """

        def of(x: Array, codes: Array, scales: Array) -> Array:
            return matrix_product(x, dequantized(codes, scales, self.num_outputs, x.dtype), self.num_outputs)

        return jax.checkpoint(of, prevent_cse=False)(x, self.codes[...], self.scales[...])


def block_size(inputs: int) -> int:
    """Inputs that share a scale in nf4: 64, or the part of it that divides their number.

    Raises:
        ValueError: The number of inputs is odd: codes are kept in pairs.
    """
    if inputs % 2:
        raise ValueError(f"nf4 keeps two inputs a byte, and {inputs} inputs are odd")
    return gcd(inputs, BLOCK)


def quantized(weights: Float[Array, " L *dims"], num_outputs: int, kind: Quantization) -> Params:
    """Codes and scales of a stacked matrix, as `QuantizedMatrix` holds them: {"codes": ..., "scales": ...}."""
    wide = weights.astype(jnp.float32)
    last_input = wide.ndim - num_outputs - 1
    if kind == "int8":
        scales = jnp.abs(wide).max(axis=tuple(range(1, last_input + 1)), keepdims=True) / 127.0
        return {"codes": jnp.round(wide / _divisor(scales)).astype(jnp.int8), "scales": scales}
    blocks = _split_dim(wide, last_input, block_size(wide.shape[last_input]))
    scales = jnp.abs(blocks).max(axis=last_input + 1, keepdims=True)
    unit = (blocks / _divisor(scales)).reshape(wide.shape)
    codes = jnp.zeros(unit.shape, jnp.uint8)
    for low, high in pairwise(NF4_LEVELS):
        codes += (unit > (low + high) / 2).astype(jnp.uint8)
    pairs = _split_dim(codes, last_input, 2)
    even, odd = (jax.lax.index_in_dim(pairs, number, last_input + 1, keepdims=False) for number in (0, 1))
    return {"codes": even | (odd << 4), "scales": scales.squeeze(last_input + 1)}


def dequantized(
    codes: Int8[Array, "..."] | UInt8[Array, "..."], scales: Float32[Array, "..."], num_outputs: int, dtype: Any
) -> Float[Array, "..."]:
    """Numbers of codes and scales, of one layer or of all; rounded once, to `dtype`."""
    if codes.dtype == jnp.int8:
        return (codes.astype(jnp.float32) * scales).astype(dtype)
    last_input = codes.ndim - num_outputs - 1
    shape = (*codes.shape[:last_input], 2 * codes.shape[last_input], *codes.shape[last_input + 1 :])
    unit = _levels(jnp.stack([codes & 15, codes >> 4], axis=last_input + 1).reshape(shape))
    blocks = _split_dim(unit, last_input, shape[last_input] // scales.shape[last_input])
    return (blocks * jnp.expand_dims(scales, last_input + 1)).reshape(shape).astype(dtype)


def quantized_params(params: Params, kind: Quantization | None) -> Params:
    """Weights of a model with the matrices of its layers quantised; None leaves them as they are."""
    if kind is None:
        return params
    layers = {
        name: quantized(leaf, NUM_OUTPUTS[name], kind) if name in NUM_OUTPUTS else leaf
        for name, leaf in params["layers"].items()
    }
    return {**params, "layers": layers}


def quantization_kind(setting: Literal["none", "int8", "nf4"]) -> Quantization | None:
    """What `model.quantization` says; None for "none"."""
    return None if setting == "none" else setting


def is_quantized(leaf: Any) -> bool:
    """Whether a part of a nested dict of weights is the codes and scales of a matrix."""
    return isinstance(leaf, dict) and leaf.keys() == {"codes", "scales"}


def cast(params: Params, dtype: Any) -> Params:
    """All weights in the compute dtype, codes and scales left as they are."""
    return jax.tree.map(lambda leaf: leaf if is_quantized(leaf) else leaf.astype(dtype), params, is_leaf=is_quantized)


def _divisor(scales: Float32[Array, "..."]) -> Float32[Array, "..."]:
    return jnp.where(scales > 0, scales, 1.0)


def _split_dim(values: Array, dim: int, size: int) -> Array:
    """One dim as two, the second of the given size."""
    return values.reshape(*values.shape[:dim], -1, size, *values.shape[dim + 1 :])


def _levels(codes: UInt8[Array, "..."]) -> Float32[Array, "..."]:
    """The level of each code by four choices between halves: elementwise, so it fuses and keeps any sharding."""
    values: list[Any] = [jnp.float32(level) for level in NF4_LEVELS]
    for bit in range(4):
        upper = (codes >> bit) & 1 == 1
        values = [jnp.where(upper, high, low) for low, high in zip(values[::2], values[1::2], strict=True)]
    return values[0]
