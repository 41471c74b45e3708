# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a GGUF file of llama.cpp: sizes from its metadata, weights dequantised to float32, and its tokenizer.

The metadata becomes a Hugging Face config first, so that families read both kinds of model with the same code and a
model that came as GGUF can be exported as a Hugging Face folder.
"""

from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from grpo_jax.checkpoint.gguf_tokenizer import build_tokenizer, end_of_turn_ids
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.assembly import Place, assemble
from grpo_jax.models.families.registry import FAMILIES, weight_names
from grpo_jax.models.families.weight_names import Index, WeightName
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.models.transformer import Params
from grpo_jax.records import ConfigError

_MODEL_TYPES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3_text"}
"""GGUF architecture to `model_type`."""

_NAMES = {
    ("embedding",): "token_embd.weight",
    ("final_norm",): "output_norm.weight",
    ("head",): "output.weight",
    ("layers", "query"): "blk.{layer}.attn_q.weight",
    ("layers", "key"): "blk.{layer}.attn_k.weight",
    ("layers", "value"): "blk.{layer}.attn_v.weight",
    ("layers", "output"): "blk.{layer}.attn_output.weight",
    ("layers", "gate"): "blk.{layer}.ffn_gate.weight",
    ("layers", "up"): "blk.{layer}.ffn_up.weight",
    ("layers", "down"): "blk.{layer}.ffn_down.weight",
    ("layers", "attention_norm"): "blk.{layer}.attn_norm.weight",
    ("layers", "mlp_norm"): "blk.{layer}.ffn_norm.weight",
    ("layers", "query_bias"): "blk.{layer}.attn_q.bias",
    ("layers", "key_bias"): "blk.{layer}.attn_k.bias",
    ("layers", "value_bias"): "blk.{layer}.attn_v.bias",
    ("layers", "query_norm"): "blk.{layer}.attn_q_norm.weight",
    ("layers", "key_norm"): "blk.{layer}.attn_k_norm.weight",
    ("layers", "post_attention_norm"): "blk.{layer}.post_attention_norm.weight",
    ("layers", "post_mlp_norm"): "blk.{layer}.post_ffw_norm.weight",
}

# Per-frequency divisors that llama.cpp computes from Llama 3.1's scaling; the published models share these settings.
_ROPE_DIVISORS = "rope_freqs.weight"
_LLAMA3_LOW, _LLAMA3_HIGH, _LLAMA3_ORIGINAL = 1.0, 4.0, 8192
_GEMMA3_27B_LAYERS = 62


class GgufFile:
    """An open file: parsing its header takes seconds, so one serves config, weights and tokenizer.

    Attributes:
        file: Its path.
        architecture: `general.architecture`, a key of the supported ones.
        tensors: Tensor records by name; their data stay on disk until read.
    """

    def __init__(self, file: Path):
        self.file = file
        try:
            self.reader = gguf.GGUFReader(file)
        except (ValueError, IndexError) as error:
            raise ConfigError(f"{file} is not a complete GGUF file: {error}") from error
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}
        self.architecture = self.get("general.architecture")
        if self.architecture not in _MODEL_TYPES:
            supported = ", ".join(_MODEL_TYPES)
            raise ConfigError(
                f"{file}: GGUF architecture {self.architecture!r} is not supported; supported are {supported}"
            )

    def get(self, key: str, default: Any = None) -> Any:
        """Value of a metadata key."""
        field = self.reader.get_field(key)
        return default if field is None else field.contents()

    def model(self, key: str, default: Any = None) -> Any:
        """Value of a key of the model's own architecture, given without that prefix."""
        return self.get(f"{self.architecture}.{key}", default)

    def required(self, key: str) -> Any:
        """The same for a key that must be there."""
        value = self.model(key)
        if value is None:
            raise ConfigError(f"{self.file}: metadata key {self.architecture}.{key} is missing")
        return value

    def tensor(self, name: str) -> gguf.ReaderTensor:
        """Record of a tensor that must be there."""
        if name not in self.tensors:
            raise ConfigError(f"{self.file}: tensor {name} is missing")
        return self.tensors[name]


def read_config(data: GgufFile) -> dict[str, Any]:
    """The Hugging Face `config.json` that describes the model."""
    if data.model("expert_count"):
        raise ConfigError(f"{data.file}: mixture-of-experts models are not supported")
    model_type = _MODEL_TYPES[data.architecture]
    if model_type == "llama" and data.model("attention.sliding_window"):
        model_type = "mistral"
    num_heads, width = data.required("attention.head_count"), data.required("embedding_length")
    head_size = data.model("attention.key_length") or width // num_heads
    if data.model("rope.dimension_count", head_size) != head_size:
        raise ConfigError(f"{data.file}: rotary embedding over a part of the head is not supported")
    config = {
        "architectures": [FAMILIES[model_type].causal_lm],
        "model_type": model_type,
        "vocab_size": int(data.tensor(_NAMES["embedding",]).shape[1]),
        "hidden_size": width,
        "intermediate_size": data.required("feed_forward_length"),
        "num_hidden_layers": data.required("block_count"),
        "num_attention_heads": num_heads,
        "num_key_value_heads": data.model("attention.head_count_kv", num_heads),
        "head_dim": head_size,
        "max_position_embeddings": data.required("context_length"),
        "rms_norm_eps": data.required("attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": _NAMES["head",] not in data.tensors,
        "bos_token_id": data.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": data.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": data.get("tokenizer.ggml.padding_token_id"),
    }
    if model_type == "gemma3_text":
        return {**config, **_gemma3_fields(data, head_size)}
    config |= {"hidden_act": "silu", "rope_theta": data.model("rope.freq_base", 10_000.0)}
    if model_type == "mistral":
        config["sliding_window"] = data.model("attention.sliding_window")
    if (scaling := _rope_scaling(data, head_size, config["rope_theta"])) is not None:
        config["rope_scaling"] = scaling
    return config


def read_weights(data: GgufFile, arch: Architecture, place: Place | None = None) -> Params:
    """Float32 parameters, dequantised tensor by tensor.

    Raises:
        ConfigError: For a missing, additional or misshapen tensor, naming file, tensor and shapes.
    """
    expected = {
        _NAMES[weight.path].format(layer=layer)
        for weight in weight_names(arch)
        for layer in range(arch.num_layers if weight.stacked else 1)
    }
    extra = sorted(data.tensors.keys() - expected - {_ROPE_DIVISORS})
    if extra:
        raise ConfigError(
            f"{data.file}: tensor {extra[0]} (of {len(extra)} such) belongs to no part of a {arch.family} model"
        )
    return assemble(arch, partial(_read, data, arch), place)


def read_tokenizer(data: GgufFile) -> HuggingFaceTokenizer:
    """The tokenizer and chat template inside the file."""
    return HuggingFaceTokenizer(build_tokenizer(str(data.file), data.get), end_of_turn_ids(data.get))


def _read(
    data: GgufFile, arch: Architecture, weight: WeightName, layer: int, shape: tuple[int, ...], index: Index
) -> np.ndarray:
    name = _NAMES[weight.path].format(layer=layer)
    stored = data.tensor(name)
    stored_shape = tuple(int(size) for size in reversed(stored.shape))
    if stored_shape != shape:
        raise ConfigError(f"{data.file}: tensor {name} has shape {stored_shape}, but the metadata implies {shape}")
    # Quantised numbers lie in blocks along a row, so rows are the least that can be read.
    rows = stored.data[index[0]] if len(shape) > 1 else stored.data
    try:
        tensor = gguf.quants.dequantize(rows, stored.tensor_type)
    except NotImplementedError as error:
        raise ConfigError(f"{data.file}: tensor {name} has the unsupported type {stored.tensor_type.name}") from error
    if data.architecture == "llama" and weight.path[-1] in ("query", "key"):
        # A part of query or key is one of whole heads.
        tensor = _halves_together(tensor, len(tensor) // arch.head_size)
    # Gemma's RMSNorm multiplies by 1 + weight; llama.cpp stores the sum.
    tensor = tensor - 1.0 if arch.norm_adds_one and name.endswith("norm.weight") else tensor
    return tensor[:, index[1]] if len(shape) > 1 else tensor[index[0]]


def _halves_together(tensor: np.ndarray, num_heads: int) -> np.ndarray:
    """Rows of a llama-architecture Q or K as transformers orders them.

    llama.cpp rotates neighbours, transformers element i with i + H/2. For H = 4, rows of one head:

        stored    0 2 1 3   (pairs side by side)
        returned  0 1 2 3
    """
    rows, columns = tensor.shape
    pairs = tensor.reshape(num_heads, rows // num_heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _gemma3_fields(data: GgufFile, head_size: int) -> dict[str, Any]:
    # The 27B alone scales queries by width / heads; the file does not say so, llama.cpp tells it by the layer count.
    is_27b = data.required("block_count") == _GEMMA3_27B_LAYERS
    width, num_heads = data.required("embedding_length"), data.required("attention.head_count")
    theta = data.model("rope.freq_base", 1_000_000.0)
    fields = {
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": width // num_heads if is_27b else head_size,
        "sliding_window": data.required("attention.sliding_window"),
        "sliding_window_pattern": 6,
        "final_logit_softcapping": data.model("final_logit_softcapping"),
        "rope_theta": theta,
        "rope_local_base_freq": data.model("rope.freq_base_swa", 10_000.0),
    }
    scaling = _rope_scaling(data, head_size, theta)
    return fields if scaling is None else {**fields, "rope_scaling": scaling}


def _rope_scaling(data: GgufFile, head_size: int, theta: float) -> dict[str, Any] | None:
    kind = data.model("rope.scaling.type", "none")
    if kind == "linear":
        return {"rope_type": "linear", "factor": data.required("rope.scaling.factor")}
    if kind != "none":
        raise ConfigError(f"{data.file}: rope scaling {kind!r} is not supported; supported are linear and llama3")
    if _ROPE_DIVISORS not in data.tensors:
        return None
    divisors = np.asarray(data.tensors[_ROPE_DIVISORS].data, np.float32)
    factor = float(divisors.max())
    wavelengths = 2 * np.pi * theta ** (np.arange(0, head_size, 2) / head_size)
    kept = np.clip((_LLAMA3_ORIGINAL / wavelengths - _LLAMA3_LOW) / (_LLAMA3_HIGH - _LLAMA3_LOW), 0.0, 1.0)
    if not np.allclose(divisors, 1 / (kept + (1 - kept) / factor), rtol=1e-3):
        raise ConfigError(
            f"{data.file}: {_ROPE_DIVISORS} is not the frequency scaling of Llama 3.1; others are not read"
        )
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": _LLAMA3_LOW,
        "high_freq_factor": _LLAMA3_HIGH,
        "original_max_position_embeddings": _LLAMA3_ORIGINAL,
    }
