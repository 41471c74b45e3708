# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Exported folders: complete, readable, atomic, and never over foreign files."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from safetensors.numpy import load_file

from grpo_jax.checkpoint import hf_export
from grpo_jax.checkpoint.hf_export import export_hugging_face
from grpo_jax.checkpoint.pretrained import Pretrained, load_pretrained
from grpo_jax.models.transformer import Params
from grpo_jax.records import ConfigError
from tests.fakes.byte_tokenizer import PAD_ID, STOP_ID
from tests.fakes.tiny_model import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Pretrained:
    return load_pretrained(str(write_tiny_model(tmp_path / "source")))


def _export(model: Pretrained, folder: Path, params: Params | None = None, **options: str) -> None:
    params = model.params if params is None else params
    export_hugging_face(folder, model.architecture, params, model.tokenizer, model.hf_config, **options)


def test_float32_weights_come_back_bit_for_bit(model: Pretrained, tmp_path: Path) -> None:
    _export(model, tmp_path / "out", dtype="float32")
    jax.tree.map(np.testing.assert_array_equal, load_pretrained(str(tmp_path / "out")).params, model.params)


def test_bfloat16_is_the_default_and_rounds_to_nearest(model: Pretrained, tmp_path: Path) -> None:
    _export(model, tmp_path / "out")

    assert {str(tensor.dtype) for tensor in load_file(tmp_path / "out" / "model.safetensors").values()} == {"bfloat16"}
    assert json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))["torch_dtype"] == "bfloat16"
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16).astype(jnp.float32), model.params)
    jax.tree.map(np.testing.assert_array_equal, load_pretrained(str(tmp_path / "out")).params, rounded)


def test_generation_config_names_stop_and_padding_ids(model: Pretrained, tmp_path: Path) -> None:
    _export(model, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "generation_config.json").read_text(encoding="utf-8"))
    assert config == {"eos_token_id": [STOP_ID], "pad_token_id": PAD_ID}


def test_large_weights_are_split_and_indexed(
    model: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf_export, "MAX_SHARD_BYTES", 20_000)
    _export(model, tmp_path / "out", dtype="float32")

    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text(encoding="utf-8"))
    files = sorted(file.name for file in (tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 2
    assert files == sorted(set(index["weight_map"].values()))
    assert index["metadata"]["total_size"] == 4 * model.architecture.num_parameters
    jax.tree.map(np.testing.assert_array_equal, load_pretrained(str(tmp_path / "out")).params, model.params)


def test_sharded_parameters_are_written_whole(model: Pretrained, tmp_path: Path) -> None:
    num_devices = 2 if jax.device_count() > 1 else 1
    mesh = Mesh(np.array(jax.devices()[:num_devices]), ("fsdp",))
    params = jax.tree.map(
        lambda leaf: jax.device_put(leaf, NamedSharding(mesh, PartitionSpec(*[None] * (leaf.ndim - 1), "fsdp"))),
        model.params,
    )
    _export(model, tmp_path / "out", params, dtype="float32")
    jax.tree.map(np.testing.assert_array_equal, load_pretrained(str(tmp_path / "out")).params, model.params)


def test_equal_weights_are_equal_files(model: Pretrained, tmp_path: Path) -> None:
    for number in range(6):
        _export(model, tmp_path / str(number))
    assert len({(tmp_path / str(number) / "model.safetensors").read_bytes() for number in range(6)}) == 1


def test_an_earlier_export_is_replaced(model: Pretrained, tmp_path: Path) -> None:
    _export(model, tmp_path / "out")
    (tmp_path / "out" / "stale.txt").write_text("", encoding="utf-8")
    _export(model, tmp_path / "out", dtype="float32")

    assert not (tmp_path / "out" / "stale.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_foreign_files_are_never_replaced(model: Pretrained, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(ConfigError, match="thesis holds files that are no earlier export"):
        _export(model, tmp_path / "thesis")
    with pytest.raises(ConfigError, match=r"chapter\.txt is a file"):
        _export(model, tmp_path / "thesis" / "chapter.txt")


def test_a_failure_midway_leaves_the_earlier_export_in_place(model: Pretrained, tmp_path: Path) -> None:
    _export(model, tmp_path / "out", dtype="float32")
    with pytest.raises(KeyError):
        _export(model, tmp_path / "out", {"embedding": model.params["embedding"]}, dtype="float32")
    jax.tree.map(np.testing.assert_array_equal, load_pretrained(str(tmp_path / "out")).params, model.params)
