# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a Hugging Face model folder (config.json, safetensors in one file or more), local, in a bucket or hub."""

import json
import logging
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from grpo_jax.checkpoint.tensor_files import FLOATS, TensorFile, file_system, is_address, open_tensor_file
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.assembly import Place, assemble, tensor_shapes
from grpo_jax.models.families.weight_names import Index, WeightName
from grpo_jax.models.transformer import Params
from grpo_jax.records import ConfigError

logger = logging.getLogger(__name__)

_TEXTS = ("*.json", "*.jinja", "tokenizer.model", "vocab.txt", "merges.txt")
_HUB_FILES = (*_TEXTS, "*.safetensors")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

# Buffers that old checkpoints carry; computed, never learned.
_IGNORED_ENDINGS = ("rotary_emb.inv_freq", "self_attn.masked_bias", "self_attn.bias")
# The image half of a gemma3 wrapper, and the two ways its text half has been named.
_IMAGE_PARTS = ("vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector.")
_WRAPPED = (("language_model.model.", "model."), ("model.language_model.", "model."), ("language_model.", ""))


@dataclass(frozen=True)
class ModelFolder:
    """Where a model lies.

    Attributes:
        texts: Local folder with all of it but, where it lies in a bucket, the weights.
        weights: Path or address of the folder with the safetensors files.
    """

    texts: Path
    weights: str


@contextmanager
def open_model_folder(path: str) -> Iterator[ModelFolder]:
    """The folder of a local path, of an address such as `gs://bucket/model`, whose small files are fetched for as long
    as it is open, or, downloaded if need be, of a hub name such as `Qwen/Qwen3-0.6B`.

    Raises:
        ConfigError: Where there is neither such a folder nor a reachable model of that name.
    """
    if is_address(path):
        with tempfile.TemporaryDirectory(prefix="grpo_jax-") as folder:
            _fetch_texts(path, Path(folder))
            yield ModelFolder(Path(folder), path.rstrip("/"))
        return
    folder = _local_folder(path)
    yield ModelFolder(folder, str(folder))


def _local_folder(path: str) -> Path:
    local = Path(path).expanduser()
    if local.is_dir():
        return local
    if local.exists() or not _HUB_NAME.fullmatch(path):
        raise ConfigError(
            f"model.path={path!r} is neither a folder, an address, a .gguf file, package:NAME, nor a hub name "
            "OWNER/NAME"
        )
    try:
        return Path(snapshot_download(path, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"model.path={path!r}: no such local folder, and the hub did not deliver it ({reason}); "
            "check the name and the network, or give a local folder"
        ) from error


def _fetch_texts(address: str, folder: Path) -> None:
    files, path = file_system(address)
    try:
        found = [str(own) for own in files.ls(path, detail=False)]
    except OSError as error:
        raise ConfigError(f"model.path={address!r} cannot be listed ({error}); check the address and rights") from error
    for file in found:
        name = file.rsplit("/", 1)[-1]
        if any(fnmatch(name, pattern) for pattern in _TEXTS):
            files.get_file(file, str(folder / name))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; a ConfigError naming the file where it is absent or broken."""
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; a Hugging Face model folder must hold it")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error


def weight_files(folder: ModelFolder) -> list[str]:
    """Path or address of each safetensors file of a model, without looking whether it is there.

    Raises:
        ConfigError: The folder has neither one such file nor an index of several.
    """
    index = folder.texts / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(read_json(index)["weight_map"].values()))
    elif is_address(folder.weights) or (folder.texts / "model.safetensors").is_file():
        names = ["model.safetensors"]
    else:
        raise ConfigError(
            f"{folder.weights}: no model.safetensors and no {index.name}; only safetensors weights are read"
        )
    return [f"{folder.weights}/{name}" for name in names]


def read_weights(locations: Sequence[str], arch: Architecture, place: Place | None = None) -> Params:
    """Float32 parameters from safetensors files, of which no more is read than `place` asks for.

    Args:
        locations: As `weight_files` returns them.
        arch: The model.
        place: As in `assemble`.

    Raises:
        ConfigError: For a file that is not there or incomplete, or a missing, additional or misshapen tensor, naming
            file, tensor and shapes.
    """
    files = [open_tensor_file(location) for location in locations]
    where = _locate_tensors(files)
    _check_names(locations[0].rpartition("/")[0], arch, where)

    def read(weight: WeightName, layer: int, shape: tuple[int, ...], index: Index) -> np.ndarray:
        file, stored_name = where[weight.name(layer)]
        _check_tensor(file, stored_name, shape)
        return file.read(stored_name, index)

    params = assemble(arch, read, place)
    read_bytes, all_bytes = sum(file.bytes_read for file in files), sum(file.num_bytes for file in files)
    logger.info("read %d of %d MB of weights", read_bytes / 1e6, all_bytes / 1e6)
    return params


def _locate_tensors(files: Sequence[TensorFile]) -> dict[str, tuple[TensorFile, str]]:
    """File and stored name of every tensor, by the name it has in a model of text alone."""
    where = {}
    for file in files:
        for stored_name in file.tensors:
            if stored_name.startswith(_IMAGE_PARTS):
                continue
            name = stored_name
            for wrapped, plain in _WRAPPED:
                if name.startswith(wrapped):
                    name = plain + name.removeprefix(wrapped)
                    break
            where[name] = (file, stored_name)
    return where


def _check_names(folder: str, arch: Architecture, where: Mapping[str, tuple[TensorFile, str]]) -> None:
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
            f"{file.location}: tensor {stored_name} {_and_more(extra)}belongs to no part of a {arch.family} model; "
            "config.json and weights do not fit together"
        )


def _check_tensor(file: TensorFile, name: str, shape: tuple[int, ...]) -> None:
    dtype, found = file.tensors[name]
    if dtype not in FLOATS:
        raise ConfigError(f"{file.location}: tensor {name} has dtype {dtype}; supported are {', '.join(FLOATS)}")
    if found != shape:
        raise ConfigError(f"{file.location}: tensor {name} has shape {found}, but config.json implies {shape}")


def _and_more(names: list[str]) -> str:
    return f"(and {len(names) - 1} more) " if len(names) > 1 else ""
