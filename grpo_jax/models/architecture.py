# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers that tell one decoder-only family from another; families fill this in from a `config.json`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RopeScaling:
    """Long-context change to rotary frequencies.

    Attributes:
        kind: `linear` divides every frequency by `factor`; `llama3` does so for the long wavelengths alone and
            blends in between (Llama 3.1, as `transformers` computes it).
        factor: How many times longer the context became.
        low_frequency_factor: llama3 only: wavelengths above original / this are fully scaled.
        high_frequency_factor: llama3 only: wavelengths below original / this are left alone.
        original_max_positions: llama3 only: context length before scaling, in tokens.
    """

    kind: Literal["linear", "llama3"]
    factor: float
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    original_max_positions: int = 8192


@dataclass(frozen=True)
class Architecture:
    """Sizes and switches of one model; hashable, so it is a static argument of every compiled program.

    Attributes:
        family: `llama`, `mistral`, `qwen2`, `qwen3` or `gemma3_text`: the `model_type` of `transformers`.
        vocab_size: Rows of the embedding table (V), twins and padding included; may exceed the tokenizer's ids.
        width: Size of the residual stream (D).
        num_layers: Decoder blocks (L).
        num_heads: Query heads (N).
        num_kv_heads: Key-value heads (K), a divisor of `num_heads`.
        head_size: Size of one head (H).
        mlp_size: Hidden size of the gated MLP (F).
        rope_theta: Base of the rotary frequencies of global layers.
        local_rope_theta: Base for sliding-window layers, where it differs (Gemma 3); else None.
        rope_scaling: Long-context scaling of the global layers' frequencies.
        norm_epsilon: Added to the mean square inside RMSNorm.
        tied_embeddings: The output head is the embedding table.
        qkv_bias: Query, key and value projections have biases (Qwen2).
        qk_norm: RMSNorm over each head of queries and keys before rotation (Qwen3, Gemma 3).
        activation: Nonlinearity of the gated MLP.
        norm_adds_one: RMSNorm multiplies by 1 + weight (Gemma).
        post_norms: A further RMSNorm after attention and after the MLP, before each residual sum (Gemma).
        embedding_scale: Factor on embeddings, rounded to their dtype (Gemma: sqrt(width)).
        query_scale: Factor on attention scores.
        sliding_window: Tokens that a sliding layer sees, itself included; None where no layer slides.
        sliding_layers: For each layer whether it slides; empty means none does.
        max_positions: Context length in tokens.
        num_twins: Rows appended as a reasoning vocabulary, see `models/vocabulary.py`.
        padding_rows: Last rows of the table, of no id.
    """

    family: str
    vocab_size: int
    width: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    mlp_size: int
    rope_theta: float = 10_000.0
    local_rope_theta: float | None = None
    rope_scaling: RopeScaling | None = None
    norm_epsilon: float = 1e-6
    tied_embeddings: bool = True
    qkv_bias: bool = False
    qk_norm: bool = False
    activation: Literal["silu", "gelu_tanh"] = "silu"
    norm_adds_one: bool = False
    post_norms: bool = False
    embedding_scale: float = 1.0
    query_scale: float = 0.0
    sliding_window: int | None = None
    sliding_layers: tuple[bool, ...] = ()
    max_positions: int = 8192
    num_twins: int = 0
    padding_rows: int = 0

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads={self.num_heads} is not a multiple of num_kv_heads={self.num_kv_heads}")
        if self.sliding_layers and len(self.sliding_layers) != self.num_layers:
            raise ValueError(f"sliding_layers has {len(self.sliding_layers)} entries for num_layers={self.num_layers}")
        if not self.query_scale:
            object.__setattr__(self, "query_scale", self.head_size**-0.5)
        if not self.sliding_layers:
            object.__setattr__(self, "sliding_layers", (False,) * self.num_layers)

    @property
    def num_ids(self) -> int:
        """Ids that have a row: base ids and twins."""
        return self.vocab_size - self.padding_rows

    @property
    def num_base_ids(self) -> int:
        """Ids of the model without its twins."""
        return self.num_ids - self.num_twins

    @property
    def num_parameters(self) -> int:
        """Weights of the model, the tied head counted once."""
        attention = self.width * self.head_size * (2 * self.num_heads + 2 * self.num_kv_heads)
        biases = self.head_size * (self.num_heads + 2 * self.num_kv_heads) if self.qkv_bias else 0
        norms = self.width * (4 if self.post_norms else 2) + (2 * self.head_size if self.qk_norm else 0)
        layer = attention + biases + norms + 3 * self.width * self.mlp_size
        heads = 1 if self.tied_embeddings else 2
        return self.num_layers * layer + self.width + heads * self.vocab_size * self.width
