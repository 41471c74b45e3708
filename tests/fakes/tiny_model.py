# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A model small enough for any test: random weights of the llama family over bytes."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from grpo_jax.checkpoint.hf_export import export_hugging_face
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.transformer import Params, Transformer, split
from tests.fakes.byte_tokenizer import PAD_ID, STOP_ID, VOCAB_SIZE, ByteTokenizer


def tiny_architecture(**overrides: Any) -> Architecture:
    """Two llama layers of width 32 over the ids of `ByteTokenizer`."""
    tiny = Architecture(
        family="llama",
        vocab_size=VOCAB_SIZE,
        width=32,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_size=8,
        mlp_size=64,
        max_positions=1024,
    )
    # Fields derived from others start over, lest an override of those leave them stale.
    return replace(tiny, **{"query_scale": 0.0, "sliding_layers": (), **overrides})


def tiny_params(arch: Architecture, seed: int = 0) -> Params:
    """Random float32 weights."""
    return _initialiser(arch)(seed)


@functools.cache
def _initialiser(arch: Architecture) -> Callable[[int], Params]:
    """Kept, for its program takes longer to compile than most tests to run."""
    return jax.jit(lambda seed: split(Transformer(arch, rngs=nnx.Rngs(jax.random.key(seed))))[1])


def write_tiny_model(folder: str | Path, seed: int = 0) -> Path:
    """Write a complete Hugging Face folder of the tiny model, float32 weights and byte tokenizer; returns its path."""
    arch = tiny_architecture()
    config = llama_config(arch, stop_id=STOP_ID, pad_id=PAD_ID)
    export_hugging_face(folder, arch, tiny_params(arch, seed), ByteTokenizer(), config, dtype="float32")
    return Path(folder)


def llama_config(arch: Architecture, *, stop_id: int, pad_id: int) -> dict[str, Any]:
    """What `config.json` says of an architecture of the llama family."""
    return {
        "model_type": "llama",
        "vocab_size": arch.vocab_size,
        "hidden_size": arch.width,
        "intermediate_size": arch.mlp_size,
        "num_hidden_layers": arch.num_layers,
        "num_attention_heads": arch.num_heads,
        "num_key_value_heads": arch.num_kv_heads,
        "head_dim": arch.head_size,
        "hidden_act": "silu",
        "rms_norm_eps": arch.norm_epsilon,
        "rope_theta": arch.rope_theta,
        "max_position_embeddings": arch.max_positions,
        "tie_word_embeddings": arch.tied_embeddings,
        "eos_token_id": stop_id,
        "pad_token_id": pad_id,
        "bos_token_id": None,
    }
