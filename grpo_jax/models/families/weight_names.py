# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which Hugging Face tensor holds which of our parameters, and how to turn one layout into the other.

PyTorch stores a linear layer as [outputs, inputs]; ours are [inputs, outputs] with the heads as dims of their own:

    q_proj.weight [N*H, D] <-> query [D, N, H]      o_proj.weight [D, N*H] <-> output [N, H, D]
    q_proj.bias   [N*H]    <-> query_bias [N, H]    gate_proj.weight [F, D] <-> gate [D, F]
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from jaxtyping import Float

from grpo_jax.models.architecture import Architecture

Layout = Literal["same", "flat", "linear", "linear_from_heads"]
"""`same`: equal shapes. `flat`: one dim there. `linear`: [in, *out] <-> [out, in]. `linear_from_heads`: [N, H, out]."""

Index = tuple[slice, ...]
"""A part of a tensor: one slice a dim, each with start and stop and a step of one."""

Path = tuple[str, ...]
"""Where a parameter sits in the nested dict of `models.transformer.split`, such as ("layers", "query")."""


@dataclass(frozen=True)
class WeightName:
    """One of our parameters and its tensor there; a parameter under "layers" has one tensor for each layer.

    Attributes:
        path: Keys into our parameters.
        template: Hugging Face name, `{layer}` standing for the layer's number.
        layout: How the two shapes relate, one layer at a time.
    """

    path: Path
    template: str
    layout: Layout

    @property
    def stacked(self) -> bool:
        """Whether ours stacks one tensor for each layer on a leading dim."""
        return self.path[0] == "layers"

    def name(self, layer: int) -> str:
        """Name of one layer's tensor; `layer` is ignored where there is only one tensor."""
        return self.template.format(layer=layer)

    def foreign_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape there of one layer's tensor whose shape here is `shape`."""
        if self.layout == "same":
            return shape
        if self.layout == "flat":
            return (prod(shape),)
        num_inputs = 1 if self.layout == "linear" else 2
        return prod(shape[num_inputs:]), prod(shape[:num_inputs])

    def foreign_index(self, index: Index, shape: tuple[int, ...]) -> tuple[Index, tuple[int, ...]]:
        """Which part of a tensor there holds a part of one layer here.

        Args:
            index: The part of ours.
            shape: Of the whole layer here.

        Returns:
            The part there, and its shape here: that of `index`, except that of several dims of ours which are one dim
            there, all but the first come whole.
        """
        if self.layout == "same":
            return index, tuple(part.stop - part.start for part in index)
        num_inputs = {"flat": 0, "linear": 1, "linear_from_heads": 2}[self.layout]
        there: list[slice] = []
        sizes: list[int] = []
        for dims in (slice(0, num_inputs), slice(num_inputs, None)):
            if shape[dims]:
                (first, *_), (_, *inner) = index[dims], shape[dims]
                there.append(slice(first.start * prod(inner), first.stop * prod(inner)))
                sizes += [first.stop - first.start, *inner]
        return tuple(reversed(there)), tuple(sizes)

    def to_ours(self, tensor: Float[np.ndarray, "..."], shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
        """One layer's tensor, or a part of it, in our layout, of the given shape."""
        return (tensor.T if self._transposed else tensor).reshape(shape)

    def to_foreign(self, tensor: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """One layer of our parameter in the layout there."""
        shape = self.foreign_shape(tensor.shape)
        return tensor.reshape(shape[::-1]).T if self._transposed else tensor.reshape(shape)

    @property
    def _transposed(self) -> bool:
        return self.layout in ("linear", "linear_from_heads")


def decoder_weights(arch: Architecture, *, mlp_norm: str = "post_attention_layernorm") -> tuple[WeightName, ...]:
    """Names that the families share, by the switches of the architecture.

    Args:
        arch: Decides on biases, query and key norms, and the separate head.
        mlp_norm: Module name of the norm before the MLP, which Gemma calls otherwise.
    """
    weights = [
        WeightName(("embedding",), "model.embed_tokens.weight", "same"),
        _layer("attention_norm", "input_layernorm.weight", "same"),
        _layer("mlp_norm", f"{mlp_norm}.weight", "same"),
        _layer("query", "self_attn.q_proj.weight", "linear"),
        _layer("key", "self_attn.k_proj.weight", "linear"),
        _layer("value", "self_attn.v_proj.weight", "linear"),
        _layer("output", "self_attn.o_proj.weight", "linear_from_heads"),
        _layer("gate", "mlp.gate_proj.weight", "linear"),
        _layer("up", "mlp.up_proj.weight", "linear"),
        _layer("down", "mlp.down_proj.weight", "linear"),
        WeightName(("final_norm",), "model.norm.weight", "same"),
    ]
    if arch.qkv_bias:
        weights += [
            _layer("query_bias", "self_attn.q_proj.bias", "flat"),
            _layer("key_bias", "self_attn.k_proj.bias", "flat"),
            _layer("value_bias", "self_attn.v_proj.bias", "flat"),
        ]
    if arch.qk_norm:
        weights += [
            _layer("query_norm", "self_attn.q_norm.weight", "same"),
            _layer("key_norm", "self_attn.k_norm.weight", "same"),
        ]
    if arch.post_norms:
        weights += [
            _layer("post_attention_norm", "post_attention_layernorm.weight", "same"),
            _layer("post_mlp_norm", "post_feedforward_layernorm.weight", "same"),
        ]
    if not arch.tied_embeddings:
        weights.append(WeightName(("head",), "lm_head.weight", "same"))
    return tuple(weights)


def _layer(parameter: str, module: str, layout: Layout) -> WeightName:
    return WeightName(("layers", parameter), "model.layers.{layer}." + module, layout)
