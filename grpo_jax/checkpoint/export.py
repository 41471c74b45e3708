# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run or one of its checkpoints as a Hugging Face folder, for `grpo-jax export`."""

import json
from pathlib import Path
from typing import Literal

from grpo_jax.checkpoint.hf_export import export_hugging_face
from grpo_jax.checkpoint.peft_export import export_peft
from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.checkpoint.reasoning import with_reasoning_vocabulary
from grpo_jax.checkpoint.run_weights import find_checkpoint, restore_params
from grpo_jax.model_config import LoraConfig, ModelConfig
from grpo_jax.models.lora import adapters_of, join, lora_spec, merged
from grpo_jax.models.quantization import quantization_kind, quantized_params
from grpo_jax.models.transformer import abstract_params
from grpo_jax.records import ConfigError


def export_run(path: str, output: str, dtype: Literal["float32", "bfloat16"], adapter: bool = False) -> Path:
    """Write the weights of a run for `transformers` and vLLM.

    Args:
        path: A run's folder (its newest checkpoint) or one checkpoint in it.
        output: Folder to write.
        dtype: Of the written weights.
        adapter: Write the adapters alone, in the layout of `peft`, instead of merging them into the weights.

    Returns:
        The folder.

    Raises:
        ConfigError: There is no checkpoint or no adapter in it, the run's config.json is missing or damaged, or
            `output` cannot be written.
    """
    checkpoint = find_checkpoint(path)
    config_file = checkpoint.parent.parent / "config.json"
    try:
        settings = json.loads(config_file.read_text(encoding="utf-8"))["model"]
        model_path, lora = settings["path"], settings.get("lora")
        quantization = quantization_kind(settings.get("quantization", "none"))
        lora = LoraConfig(**{**lora, "targets": tuple(lora["targets"])}) if lora else None
        asked = ModelConfig(
            path=model_path,
            reasoning_vocab_size=settings.get("reasoning_vocab_size", 0),
            reasoning_tags=tuple(settings.get("reasoning_tags", ModelConfig.reasoning_tags)),
        )
    except FileNotFoundError as error:
        raise ConfigError(f"{config_file} is missing; export needs the run's folder around the checkpoint") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{config_file} is not the config of a run: {error}") from error
    model = with_reasoning_vocabulary(load_published(model_path), asked)
    arch, spec = model.architecture, lora_spec(lora)
    _, shapes, _ = abstract_params(arch, lora=spec)
    if lora is None:
        params = restore_params(checkpoint, shapes)
    else:
        adapters = restore_params(checkpoint, adapters_of(shapes))
        if adapter and model.token_map:
            raise ConfigError(f"{path} has a reasoning vocabulary, which peft's layout has no place for; {_MERGED}")
        if adapter:
            export_peft(output, arch, adapters, lora, model_path)
            return Path(output)
        params = merged(join(quantized_params(model.read_weights(None), quantization), adapters), spec)
    if adapter:
        raise ConfigError(f"{path} trained all weights: it has no adapter; leave --adapter out")
    export_hugging_face(output, arch, params, model.tokenizer, model.hf_config, dtype, model.token_map)
    return Path(output)


_MERGED = "leave --adapter out to export everything merged"
