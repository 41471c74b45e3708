# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Sizes of published models, as their `config.json` says them, so that speed can be measured without a download."""

import json
from pathlib import Path
from typing import Any

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.registry import architecture
from grpo_jax.records import ConfigError

_FIELDS = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "rope_theta",
    "rms_norm_eps",
    "max_position_embeddings",
    "tie_word_embeddings",
    "hidden_act",
)

_SIZES = {
    "Qwen/Qwen3-0.6B": ("qwen3", 151_936, 1024, 28, 16, 8, 128, 3072, 1e6, 1e-6, 40_960, True, "silu"),
    "Qwen/Qwen3-1.7B": ("qwen3", 151_936, 2048, 28, 16, 8, 128, 6144, 1e6, 1e-6, 40_960, True, "silu"),
    "Qwen/Qwen3-4B": ("qwen3", 151_936, 2560, 36, 32, 8, 128, 9728, 1e6, 1e-6, 40_960, True, "silu"),
    "Qwen/Qwen3-8B": ("qwen3", 151_936, 4096, 36, 32, 8, 128, 12_288, 1e6, 1e-6, 40_960, False, "silu"),
    "Qwen/Qwen3-14B": ("qwen3", 151_936, 5120, 40, 40, 8, 128, 17_408, 1e6, 1e-6, 40_960, False, "silu"),
    "Qwen/Qwen2.5-0.5B-Instruct": ("qwen2", 151_936, 896, 24, 14, 2, 64, 4864, 1e6, 1e-6, 32_768, True, "silu"),
    "HuggingFaceTB/SmolLM2-135M-Instruct": ("llama", 49_152, 576, 30, 9, 3, 64, 1536, 1e5, 1e-5, 8192, True, "silu"),
    "meta-llama/Llama-3.2-1B-Instruct": ("llama", 128_256, 2048, 16, 32, 8, 64, 8192, 5e5, 1e-5, 131_072, True, "silu"),
}


def published_shape(name: str) -> Architecture:
    """Sizes of a model by its hub name, or of a `config.json`.

    Args:
        name: A known hub name, the path of a `config.json`, or that of a folder that holds one.

    Raises:
        ConfigError: None of those.
    """
    if name in _SIZES:
        return architecture(dict(zip(_FIELDS, _SIZES[name], strict=True)))
    path = Path(name).expanduser()
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        known = ", ".join(_SIZES)
        raise ConfigError(
            f"model.path={name!r}: no config.json there (--random-weights), and none of the known models: {known}"
        )
    try:
        fields: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return architecture(fields)
    except (ConfigError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"model.path={name!r}: {file}: {error}") from error
