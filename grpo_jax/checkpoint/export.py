# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run or one of its checkpoints as a Hugging Face folder, for `grpo-jax export`."""

import json
from pathlib import Path
from typing import Literal

from grpo_jax.checkpoint.hf_export import export_hugging_face
from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.checkpoint.run_weights import find_checkpoint, restore_params
from grpo_jax.models.transformer import abstract_params
from grpo_jax.records import ConfigError


def export_run(path: str, output: str, dtype: Literal["float32", "bfloat16"]) -> Path:
    """Write the weights of a run for `transformers` and vLLM.

    Args:
        path: A run's folder (its newest checkpoint) or one checkpoint in it.
        output: Folder to write.
        dtype: Of the written weights.

    Returns:
        The folder.

    Raises:
        ConfigError: There is no checkpoint, the run's config.json is missing or damaged, or `output` cannot be written.
    """
    checkpoint = find_checkpoint(path)
    config_file = checkpoint.parent.parent / "config.json"
    try:
        model_path = json.loads(config_file.read_text(encoding="utf-8"))["model"]["path"]
    except FileNotFoundError as error:
        raise ConfigError(f"{config_file} is missing; export needs the run's folder around the checkpoint") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{config_file} is not the config of a run: {error}") from error
    model = load_published(model_path)
    _, shapes, _ = abstract_params(model.architecture)
    params = restore_params(checkpoint, shapes)
    export_hugging_face(output, model.architecture, params, model.tokenizer, model.hf_config, dtype)
    return Path(output)
