# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a Hugging Face model folder (config.json and safetensors, sharded or not), local or from the hub."""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError, safe_open

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.assembly import Place, assemble, tensor_shapes
from grpo_jax.models.families.weight_names import WeightName
from grpo_jax.models.transformer import Params
from grpo_jax.records import ConfigError

_HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "tokenizer.model", "vocab.txt", "merges.txt")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_FLOATS = ("F64", "F32", "F16", "BF16")

# Buffers that old checkpoints carry; computed, never learned.
_IGNORED_ENDINGS = ("rotary_emb.inv_freq", "self_attn.masked_bias", "self_attn.bias")
# The image half of a gemma3 wrapper, and the two ways its text half has been named.
_IMAGE_PARTS = ("vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector.")
_WRAPPED = (("language_model.model.", "model."), ("model.language_model.", "model."), ("language_model.", ""))


def model_folder(path: str) -> Path:
    """The folder of a local path or, downloaded if need be, of a hub name such as `Qwen/Qwen3-0.6B`.

    Raises:
        ConfigError: Where there is neither such a folder nor a reachable model of that name.
    """
    local = Path(path).expanduser()
    if local.is_dir():
        return local
    if local.exists() or not _HUB_NAME.fullmatch(path):
        raise ConfigError(
            f"model.path={path!r} is neither a folder, a .gguf file, package:NAME, nor a hub name OWNER/NAME"
        )
    try:
        return Path(snapshot_download(path, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"model.path={path!r}: no such local folder, and the hub did not deliver it ({reason}); "
            "check the name and the network, or give a local folder"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; a ConfigError naming the file where it is absent or broken."""
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; a Hugging Face model folder must hold it")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error


def read_weights(folder: Path, arch: Architecture, place: Place | None = None) -> Params:
    """Float32 parameters from the safetensors of a folder, read tensor by tensor.

    Raises:
        ConfigError: For a missing, additional or misshapen tensor, naming file, tensor and shapes.
    """
    with ExitStack() as stack:
        handles = {file: stack.enter_context(_open(file)) for file in _weight_files(folder)}
        where = _locate_tensors(handles)
        _check_names(folder, arch, where)

        def read(weight: WeightName, layer: int, shape: tuple[int, ...]) -> np.ndarray:
            file, stored_name = where[weight.name(layer)]
            return _read_tensor(handles[file], file, stored_name, shape)

        return assemble(arch, read, place)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
        for file in files:
            if not file.is_file():
                raise ConfigError(f"{file} does not exist, though {index.name} lists it; download it again")
        return files
    single = folder / "model.safetensors"
    if not single.is_file():
        raise ConfigError(f"{folder}: no model.safetensors and no {index.name}; only safetensors weights are read")
    return [single]


def _open(file: Path) -> Any:
    try:
        return safe_open(file, framework="numpy")
    except SafetensorError as error:
        raise ConfigError(f"{file} is not a complete safetensors file: {error}; download it again") from error


def _locate_tensors(handles: Mapping[Path, Any]) -> dict[str, tuple[Path, str]]:
    """File and stored name of every tensor, by the name it has in a model of text alone."""
    where = {}
    for file, handle in handles.items():
        for stored_name in handle.keys():  # noqa: SIM118 (the handle is no mapping)
            if stored_name.startswith(_IMAGE_PARTS):
                continue
            name = stored_name
            for wrapped, plain in _WRAPPED:
                if name.startswith(wrapped):
                    name = plain + name.removeprefix(wrapped)
                    break
            where[name] = (file, stored_name)
    return where


def _check_names(folder: Path, arch: Architecture, where: Mapping[str, tuple[Path, str]]) -> None:
    expected = tensor_shapes(arch)
    missing = [name for name in expected if name not in where]
    if missing:
        raise ConfigError(
            f"{folder}: the safetensors lack {missing[0]} {_and_more(missing)}of shape {expected[missing[0]]}, which a "
            f"{arch.family} model needs"
        )
    extra = [name for name in where if name not in expected and not name.endswith(_IGNORED_ENDINGS)]
    if arch.tied_embeddings:
        extra = [name for name in extra if name != "lm_head.weight"]
    if extra:
        file, stored_name = where[extra[0]]
        raise ConfigError(
            f"{file}: tensor {stored_name} {_and_more(extra)}belongs to no part of a {arch.family} model; "
            "config.json and weights do not fit together"
        )


def _read_tensor(handle: Any, file: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    stored = handle.get_slice(name)
    if stored.get_dtype() not in _FLOATS:
        raise ConfigError(f"{file}: tensor {name} has dtype {stored.get_dtype()}; supported are {', '.join(_FLOATS)}")
    if tuple(stored.get_shape()) != shape:
        raise ConfigError(
            f"{file}: tensor {name} has shape {tuple(stored.get_shape())}, but config.json implies {shape}"
        )
    return handle.get_tensor(name)


def _and_more(names: list[str]) -> str:
    return f"(and {len(names) - 1} more) " if len(names) > 1 else ""
