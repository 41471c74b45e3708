# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Writing a Hugging Face model folder that transformers and vLLM load."""

import json
import shutil
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal, Protocol

import jax.numpy as jnp
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from grpo_jax.checkpoint.token_map import write_token_map
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.assembly import disassemble, tensor_shapes
from grpo_jax.models.families.registry import family_of
from grpo_jax.models.transformer import Params
from grpo_jax.models.vocabulary import TokenMap, without_padding
from grpo_jax.parallel.processes import is_main
from grpo_jax.records import ConfigError, Tokenizer

MAX_SHARD_BYTES = 5_000_000_000
"""Weights above this are split into several files, as the hub expects."""

_METADATA = {"format": "pt", "producer": "grpo_jax"}


class SavableTokenizer(Tokenizer, Protocol):
    """A tokenizer that can write its own files."""

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer's files, chat template included, into an existing folder."""
        ...


def export_hugging_face(
    folder: str | Path,
    architecture: Architecture,
    params: Params,
    tokenizer: SavableTokenizer,
    hf_config: Mapping[str, Any],
    dtype: Literal["bfloat16", "float32"] = "bfloat16",
    token_map: TokenMap | None = None,
) -> None:
    """Write config, generation config, safetensors and tokenizer; the folder appears complete or not at all.

    Args:
        folder: Where to; may be absent, empty, or an earlier export, which is replaced.
        architecture: Of the model.
        params: Its weights, on the host or on devices, sharded or not; fetched one tensor at a time.
        tokenizer: Its tokenizer.
        hf_config: The config it was loaded with (`Pretrained.hf_config`).
        dtype: Of the written weights.
        token_map: The model's reasoning vocabulary: its map is written too, its padding rows are not.

    Every process of a run calls it, since fetching a tensor that spans them is a collective; the first one writes.

    Raises:
        ConfigError: Where the folder exists and holds something else.
    """
    target = Path(folder)
    if not is_main():
        for _ in disassemble(architecture, params, jnp.dtype(dtype)):
            pass
        return
    _refuse_foreign(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    architecture = without_padding(architecture)
    _write_weights(partial, architecture, params, jnp.dtype(dtype))
    _write_json(partial / "config.json", _config(architecture, hf_config, dtype))
    _write_json(partial / "generation_config.json", _generation_config(tokenizer, hf_config))
    tokenizer.save(partial)
    if token_map is not None:
        write_token_map(partial, token_map)
    _swap(partial, target)


def _config(arch: Architecture, hf_config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    kept = {key: value for key, value in hf_config.items() if key not in ("dtype", "_name_or_path")}
    # `torch_dtype` is the spelling that transformers 4 and 5 both read.
    return {
        **kept,
        "architectures": [family_of(arch.family).causal_lm],
        "model_type": arch.family,
        "tie_word_embeddings": arch.tied_embeddings,
        "torch_dtype": dtype,
    }


def _generation_config(tokenizer: Tokenizer, hf_config: Mapping[str, Any]) -> dict[str, Any]:
    config = {"eos_token_id": list(tokenizer.stop_ids), "pad_token_id": tokenizer.pad_id}
    if hf_config.get("bos_token_id") is not None:
        config["bos_token_id"] = hf_config["bos_token_id"]
    return config


def _write_weights(folder: Path, arch: Architecture, params: Params, dtype: np.dtype) -> None:
    sizes = {name: prod(shape) * dtype.itemsize for name, shape in tensor_shapes(arch).items()}
    shards = list(_shards(sizes))
    names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    if len(shards) == 1:
        names = ["model.safetensors"]
    tensors = disassemble(arch, params, dtype)
    for name, shard in zip(names, shards, strict=True):
        held = {}
        for expected in shard:
            tensor_name, tensor = next(tensors)
            assert tensor_name == expected, (tensor_name, expected)
            held[tensor_name] = np.ascontiguousarray(tensor)
        save_file(held, folder / name, metadata=_METADATA)
        _order_metadata(folder / name)
    if len(shards) > 1:
        weight_map = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        _write_json(folder / "model.safetensors.index.json", index)


def _order_metadata(file: Path) -> None:
    """Rewrite the header in one order: safetensors draws one by lot, and equal weights should be equal files."""
    with file.open("r+b") as handle:
        size = int.from_bytes(handle.read(8), "little")
        header = json.loads(handle.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= size, "the same header in another order became longer"
        handle.seek(8)
        handle.write(text.ljust(size))


def _shards(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Names of the tensors of each file: in order, and below the limit unless one tensor alone exceeds it."""
    shard: list[str] = []
    num_bytes = 0
    for name, size in sizes.items():
        if shard and num_bytes + size > MAX_SHARD_BYTES:
            yield shard
            shard, num_bytes = [], 0
        shard.append(name)
        num_bytes += size
    yield shard


def _refuse_foreign(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise ConfigError(f"{target} is a file; give a folder to export to")
    weights = sorted(target.glob("*.safetensors"))
    own = False
    if weights:
        with safe_open(weights[0], framework="numpy") as handle:
            own = (handle.metadata() or {}).get("producer") == _METADATA["producer"]
    if not own and any(target.iterdir()):
        raise ConfigError(f"{target} holds files that are no earlier export; choose another folder or empty it first")


def _swap(partial: Path, target: Path) -> None:
    if not target.exists():
        partial.rename(target)
        return
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
    partial.rename(target)
    shutil.rmtree(old)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
