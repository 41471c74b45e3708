# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The one decoder-only transformer behind every family, in Flax NNX with layers stacked for `lax.scan`.

Weights cross every jit boundary as a plain nested dict of arrays (`split`), and become a module again inside the
traced function (`nnx.merge`): graph walks cost milliseconds a call, dictionaries cost nothing. Every parameter
carries the logical names of its dims; `parallel/` alone knows what mesh axes they mean.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from grpo_jax.model_config import Remat
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.attention import attend, causal_mask
from grpo_jax.models.kernel_attention import XLA_UPDATE_ATTENTION, UpdateAttention
from grpo_jax.models.lora import A_SUFFIX, B_SUFFIX, LoraSpec, adapted, with_last_rows_moved
from grpo_jax.models.matrix_product import NUM_OUTPUTS, matrix_product
from grpo_jax.models.quantization import Quantization, QuantizedMatrix
from grpo_jax.models.rematerialization import product, recomputed
from grpo_jax.models.rope import Rotation, Rotations, rotate, rotations_at
from grpo_jax.models.shared_prompt_attention import layer_windows, shared_prompt_attention

Params = dict[str, Any]
"""Nested dict of arrays as `split` returns it: {"embedding": [V, D], "layers": {"query": [L, D, N, H], ...}, ...}."""


class Block(nnx.Module):
    """One decoder layer; the parameters of all L layers are stacked on a leading dim, which the scan takes away."""

    def __init__(
        self,
        arch: Architecture,
        *,
        rngs: nnx.Rngs,
        dtype: Any,
        lora: LoraSpec | None = None,
        quantization: Quantization | None = None,
    ):
        d, n, k, h, f = arch.width, arch.num_heads, arch.num_kv_heads, arch.head_size, arch.mlp_size
        norm_start = 0.0 if arch.norm_adds_one else 1.0

        def matrix(*dims: tuple[str, int]) -> nnx.Param:
            return _normal(rngs, (("layers", arch.num_layers), *dims), dtype)

        def vector(*dims: tuple[str, int], start: float) -> nnx.Param:
            return _constant((("layers", arch.num_layers), *dims), start, dtype)

        self.arch = arch
        self.query = matrix(("embed", d), ("heads", n), ("head", h))
        self.key = matrix(("embed", d), ("kv_heads", k), ("head", h))
        self.value = matrix(("embed", d), ("kv_heads", k), ("head", h))
        self.output = matrix(("heads", n), ("head", h), ("embed", d))
        self.gate = matrix(("embed", d), ("mlp", f))
        self.up = matrix(("embed", d), ("mlp", f))
        self.down = matrix(("mlp", f), ("embed", d))
        self.attention_norm = vector(("norm", d), start=norm_start)
        self.mlp_norm = vector(("norm", d), start=norm_start)
        if arch.qkv_bias:
            self.query_bias = vector(("heads", n), ("head", h), start=0.0)
            self.key_bias = vector(("kv_heads", k), ("head", h), start=0.0)
            self.value_bias = vector(("kv_heads", k), ("head", h), start=0.0)
        if arch.qk_norm:
            self.query_norm = vector(("head", h), start=norm_start)
            self.key_norm = vector(("head", h), start=norm_start)
        if arch.post_norms:
            self.post_attention_norm = vector(("norm", d), start=norm_start)
            self.post_mlp_norm = vector(("norm", d), start=norm_start)
        self.lora = lora
        if lora is not None:
            inner = ("rank", lora.rank)
            for name in lora.targets:
                target: nnx.Param = getattr(self, name)
                dims = [*zip(target.get_metadata("logical_axes"), target.shape, strict=True)][1:]
                setattr(self, name + A_SUFFIX, matrix(*dims[: -NUM_OUTPUTS[name]], inner))
                setattr(self, name + B_SUFFIX, vector(inner, *dims[-NUM_OUTPUTS[name] :], start=0.0))
        if quantization is not None:
            for name in NUM_OUTPUTS:
                whole: nnx.Param = getattr(self, name)
                dims = whole.get_metadata("logical_axes")
                delattr(self, name)
                setattr(self, name, QuantizedMatrix(name, whole.shape, dims, quantization))

    def attention_inputs(
        self, x: Float[Array, "... T D"], rotation: Rotation
    ) -> tuple[Float[Array, "... T N H"], Float[Array, "... T K H"], Float[Array, "... T K H"]]:
        """Rotated queries, rotated keys and values of each token of the residual stream."""
        arch = self.arch
        q, k, v = self.project(self._norm(x, self.attention_norm))
        if arch.qk_norm:
            q, k = self._norm(q, self.query_norm), self._norm(k, self.key_norm)
        return rotate(q, rotation), rotate(k, rotation), v

    def project(
        self, normed: Float[Array, "... T D"]
    ) -> tuple[Float[Array, "... T N H"], Float[Array, "... T K H"], Float[Array, "... T K H"]]:
        """Queries, keys and values before their norms and rotation."""
        q = self._product("query", normed)
        k = self._product("key", normed)
        v = self._product("value", normed)
        if self.arch.qkv_bias:
            return q + self.query_bias[...], k + self.key_bias[...], v + self.value_bias[...]
        return q, k, v

    def merge_heads(self, attended: Float[Array, "... T N H"]) -> Float[Array, "... T D"]:
        """The attention's contribution to the residual stream."""
        return self._product("output", attended)

    def residual(self, x: Float[Array, "... T D"], attended: Float[Array, "... T N H"]) -> Float[Array, "... T D"]:
        """The residual stream after this layer, given what its heads attended to."""
        out = self.merge_heads(attended)
        x = x + (self._norm(out, self.post_attention_norm) if self.arch.post_norms else out)
        normed = self._norm(x, self.mlp_norm)
        gate = self._product("gate", normed)
        up = self._product("up", normed)
        active = jax.nn.silu(gate) if self.arch.activation == "silu" else jax.nn.gelu(gate, approximate=True)
        hidden = active * up
        out = self._product("down", hidden)
        return x + (self._norm(out, self.post_mlp_norm) if self.arch.post_norms else out)

    def _product(self, name: str, x: Array) -> Array:
        """The product of activations and a weight, and what the weight's adapter, where it has one, adds."""
        weight, num_outputs = getattr(self, name), NUM_OUTPUTS[name]
        quantized = isinstance(weight, QuantizedMatrix)
        out = weight.product(x) if quantized else matrix_product(x, weight[...], num_outputs)
        if self.lora is not None and name in self.lora.targets:
            a, b = getattr(self, name + A_SUFFIX)[...], getattr(self, name + B_SUFFIX)[...]
            out = out + adapted(x, a, b, self.lora.scale, num_outputs)
        # No backward pass reads what is only added to the stream.
        return out if name == "down" and not self.arch.post_norms else product(out)

    def _norm(self, x: Float[Array, "... D"], weight: nnx.Param) -> Float[Array, "... D"]:
        return rms_norm(x, weight[...], self.arch)


class Transformer(nnx.Module):
    """Token ids to final hidden states; logits are `hidden @ head_table.T`, computed by whoever can tile them."""

    def __init__(
        self,
        arch: Architecture,
        *,
        rngs: nnx.Rngs,
        dtype: Any = jnp.float32,
        lora: LoraSpec | None = None,
        quantization: Quantization | None = None,
    ):
        vocabulary = (("vocab", arch.vocab_size), ("embed", arch.width))
        norm_start = 0.0 if arch.norm_adds_one else 1.0
        self.arch = arch
        self.embedding = _normal(rngs, vocabulary, dtype)
        self.layers = Block(arch, rngs=rngs, dtype=dtype, lora=lora, quantization=quantization)
        self.final_norm = _constant((("norm", arch.width),), norm_start, dtype)
        if not arch.tied_embeddings:
            self.head = _normal(rngs, vocabulary, dtype)
        # Adapters have no part in the tables: what the twins' rows learn stands beside the frozen tables.
        self.trains_twins = lora is not None and arch.num_twins > 0
        if self.trains_twins:
            rows = (("vocab", arch.num_twins + arch.padding_rows), ("embed", arch.width))
            self.embedding_delta = _constant(rows, 0.0, dtype)
            if not arch.tied_embeddings:
                self.head_delta = _constant(rows, 0.0, dtype)

    @property
    def embedding_table(self) -> Float[Array, "V D"]:
        """Rows of the embedding, one a token id."""
        table = self.embedding[...]
        return with_last_rows_moved(table, self.embedding_delta[...]) if self.trains_twins else table

    @property
    def head_table(self) -> Float[Array, "V D"]:
        """Rows of the output head, one a token id."""
        if self.arch.tied_embeddings:
            return self.embedding_table
        return with_last_rows_moved(self.head[...], self.head_delta[...]) if self.trains_twins else self.head[...]

    def embed(self, token_ids: Int[Array, "..."]) -> Float[Array, "... D"]:
        """Residual stream before the first layer."""
        return scaled_embedding(self.embedding_table, token_ids, self.arch)

    def hidden_states(self, token_ids: Int[Array, "B T"], *, remat: Remat = "none") -> Float[Array, "B T D"]:
        """Final hidden states of right-padded rows whose positions count from 0."""
        positions = jnp.arange(token_ids.shape[1])
        masks = self._masks(positions, positions)

        def attention(q: Array, k: Array, v: Array, sliding: Array | bool) -> Array:
            return attend(q, k, v, _select(sliding, masks)[None], self.arch.query_scale)

        x = self._run_layers(self.embed(token_ids), rotations_at(self.arch, positions), attention, remat)
        return rms_norm(x, self.final_norm[...], self.arch)

    def shared_prompt_hidden_states(
        self,
        prompt_ids: Int[Array, "B P"],
        prompt_lengths: Int[Array, " B"],
        line_ids: Int[Array, "B J C"],
        segments: Int[Array, "B J C"] | None = None,
        offsets: Int[Array, "B J C"] | None = None,
        *,
        remat: Remat = "none",
        how: UpdateAttention = XLA_UPDATE_ATTENTION,
    ) -> Float[Array, "B J C D"]:
        """Hidden states that predict each response token, every prompt computed once for all of its responses.

        Positions of a response go on from its prompt's length. The state that predicts a response's first token is the
        one of the last prompt token. Equal, values and gradients, to running the rows prompt + response one by one.

        Args:
            prompt_ids: Right-padded.
            prompt_lengths: Real tokens of each prompt, at least 1.
            line_ids: Responses one after another, several in a line where they fit; right-padded.
            segments: Which of the row's responses each token belongs to, -1 for padding. None: a line is a response.
            offsets: How many tokens of its response are before each token. None: as many as in its line.
            remat: What each layer computes again in the backward pass.
            how: How the rows attend.
        """
        (_, num_prompt), (num_rows, num_lines, num_tokens) = prompt_ids.shape, line_ids.shape
        columns = jnp.broadcast_to(jnp.arange(num_tokens), line_ids.shape)
        offsets = columns if offsets is None else offsets
        prompt_positions = jnp.arange(num_prompt)
        positions_of_lines = prompt_lengths[:, None, None] + offsets
        positions = jnp.concatenate(
            [
                jnp.broadcast_to(prompt_positions, (num_rows, num_prompt)),
                positions_of_lines.reshape(num_rows, num_lines * num_tokens),
            ],
            axis=1,
        )
        windows = layer_windows(self.arch, num_prompt + num_tokens)
        attend_rows = shared_prompt_attention(
            how, self.arch.query_scale, prompt_lengths, num_prompt, positions_of_lines, segments
        )

        def attention(q: Array, k: Array, v: Array, sliding: Array | bool) -> Array:
            return attend_rows(q, k, v, _select(sliding, windows))

        tokens = jnp.concatenate([prompt_ids, line_ids.reshape(num_rows, -1)], axis=1)
        x = self._run_layers(self.embed(tokens), rotations_at(self.arch, positions), attention, remat)
        last = jnp.take_along_axis(x, prompt_lengths[:, None, None] - 1, axis=1)
        in_lines = x[:, num_prompt:].reshape(*line_ids.shape, x.shape[-1])
        before = jnp.pad(in_lines[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)))
        predicting = jnp.where(offsets[..., None] == 0, last[:, None], before)
        return rms_norm(predicting, self.final_norm[...], self.arch)

    def _masks(self, query_positions: Array, key_positions: Array) -> tuple[Array, Array]:
        """Masks of global layers and of sliding layers."""
        return (
            causal_mask(query_positions, key_positions, None),
            causal_mask(query_positions, key_positions, self.arch.sliding_window),
        )

    def _run_layers(
        self,
        x: Float[Array, "B T D"],
        rotations: Rotations,
        attention: Callable[[Array, Array, Array, Array | bool], Array],
        remat: Remat,
    ) -> Float[Array, "B T D"]:
        graph, stacked = nnx.split(self.layers)
        sliding_layers = self.arch.sliding_layers
        # One scan serves layers that differ only by a flag; where all agree the flag is a constant and costs nothing.
        mixed = any(sliding_layers) and not all(sliding_layers)
        flags = jnp.asarray(sliding_layers) if mixed else None

        def layer(x: Array, inputs: tuple[Any, Array | None]) -> tuple[Array, None]:
            weights, flag = inputs
            sliding = sliding_layers[0] if flag is None else flag
            block = nnx.merge(graph, weights)
            q, k, v = block.attention_inputs(x, _select(sliding, rotations))
            return block.residual(x, attention(q, k, v, sliding)), None

        return jax.lax.scan(recomputed(layer, remat), x, (stacked, flags))[0]


def rms_norm(x: Float[Array, "... D"], weight: Float[Array, " D"], arch: Architecture) -> Float[Array, "... D"]:
    """Root-mean-square normalisation in float32 (https://arxiv.org/abs/1910.07467), in the family's convention."""
    wide = x.astype(jnp.float32)
    normed = wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + arch.norm_epsilon)
    factor = weight.astype(jnp.float32) + 1.0 if arch.norm_adds_one else weight.astype(jnp.float32)
    return (normed * factor).astype(x.dtype)


def scaled_embedding(
    table: Float[Array, "V D"], token_ids: Int[Array, "..."], arch: Architecture
) -> Float[Array, "... D"]:
    """Embedding rows times the family's factor, the factor rounded to the table's dtype as `transformers` does."""
    rows = table[token_ids]
    return rows if arch.embedding_scale == 1.0 else rows * jnp.asarray(arch.embedding_scale, rows.dtype)


def split(model: Transformer) -> tuple[nnx.GraphDef, Params]:
    """Take a module apart into its static graph and its weights as a plain nested dict."""
    graph, state = nnx.split(model)
    return graph, nnx.to_pure_dict(state)


def abstract_params(
    arch: Architecture,
    dtype: Any = jnp.float32,
    lora: LoraSpec | None = None,
    quantization: Quantization | None = None,
) -> tuple[nnx.GraphDef, Params, Params]:
    """The static graph, the shapes (`jax.ShapeDtypeStruct`) and the logical dim names of a model, nothing allocated.

    The names are a dict of the same nesting whose leaves are tuples such as ("layers", "embed", "heads", "head").
    """
    model = nnx.eval_shape(
        lambda: Transformer(arch, rngs=nnx.Rngs(0), dtype=dtype, lora=lora, quantization=quantization)
    )
    graph, state = nnx.split(model)
    names = jax.tree.map(
        lambda leaf: leaf.get_metadata("logical_axes"), state, is_leaf=lambda x: isinstance(x, nnx.Variable)
    )
    return graph, nnx.to_pure_dict(state), nnx.to_pure_dict(names)


def _select(sliding: Array | bool, pair: Any) -> Any:
    """The global or the sliding member of a pair, by a constant or a traced flag."""
    if isinstance(sliding, bool):
        return pair[int(sliding)]
    return jax.tree.map(lambda a, b: jnp.where(sliding, b, a), pair[0], pair[1])


def _normal(rngs: nnx.Rngs, dims: tuple[tuple[str, int], ...], dtype: Any) -> nnx.Param:
    names, shape = zip(*dims, strict=True)
    return nnx.Param(0.02 * jax.random.normal(rngs.params(), shape, dtype), logical_axes=names)


def _constant(dims: tuple[tuple[str, int], ...], value: float, dtype: Any) -> nnx.Param:
    names, shape = zip(*dims, strict=True)
    return nnx.Param(jnp.full(shape, value, dtype), logical_axes=names)
