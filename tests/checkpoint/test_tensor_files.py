# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of tensors come out of files on a disk and behind addresses alike; fsspec's memory:// stands for a bucket."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save, save_file

from grpo_jax.checkpoint import tensor_files
from grpo_jax.checkpoint.pretrained import load_pretrained
from grpo_jax.checkpoint.tensor_files import open_tensor_file
from grpo_jax.records import ConfigError
from tests.fakes.tiny_model import write_tiny_model

TENSORS = {
    "table": np.arange(60, dtype=np.float32).reshape(12, 5),
    "half": np.linspace(-1, 1, 24).reshape(4, 6).astype(ml_dtypes.bfloat16),
    "vector": np.arange(7, dtype=np.float16),
}


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture(params=["disk", "bucket"])
def location(request: pytest.FixtureRequest, tmp_path: Path, bucket: fsspec.AbstractFileSystem) -> str:
    if request.param == "disk":
        save_file(TENSORS, tmp_path / "some.safetensors")
        return str(tmp_path / "some.safetensors")
    bucket.pipe_file("/models/some.safetensors", save(TENSORS))
    return "memory://models/some.safetensors"


def test_any_part_is_that_of_the_whole(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_files, "BLOCK_BYTES", 48)  # two rows of the table
    file = open_tensor_file(location)
    assert file.tensors == {"table": ("F32", (12, 5)), "half": ("BF16", (4, 6)), "vector": ("F16", (7,))}
    for name, index in (
        ("table", np.s_[0:12, 0:5]),
        ("table", np.s_[3:8, 1:4]),
        ("half", np.s_[1:2, 0:3]),
        ("vector", np.s_[2:7]),
        ("table", np.s_[4:4, 0:5]),
    ):
        found = file.read(name, index if isinstance(index, tuple) else (index,))
        assert found.dtype == TENSORS[name].dtype
        np.testing.assert_array_equal(found, TENSORS[name][index])


def test_bytes_are_counted_as_they_are_read(location: str) -> None:
    file = open_tensor_file(location)
    assert file.bytes_read == 0
    file.read("table", np.s_[3:8, 1:4])
    # Behind an address a row of which a part is wanted comes whole.
    assert file.bytes_read == (5 * 5 * 4 if "://" in location else 5 * 3 * 4)
    assert file.num_bytes > 60 * 4 + 24 * 2 + 7 * 2


def test_a_model_behind_an_address_is_that_of_its_folder(tmp_path: Path, bucket: fsspec.AbstractFileSystem) -> None:
    folder = write_tiny_model(tmp_path / "model")
    bucket.put(str(folder), "/models/", recursive=True)
    found, wanted = load_pretrained("memory://models/model/"), load_pretrained(str(folder))
    assert (found.architecture, found.hf_config) == (wanted.architecture, wanted.hf_config)
    assert found.tokenizer.encode("a word") == wanted.tokenizer.encode("a word")
    jax.tree.map(np.testing.assert_array_equal, found.params, wanted.params)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (save(TENSORS)[:-10], r"some\.safetensors has \d+ bytes, not \d+: the upload is not complete"),
        (b"\xff" * 64, r"some\.safetensors is not a safetensors file"),
        (b"", r"some\.safetensors is not a safetensors file"),
    ],
)
def test_a_file_that_is_not_whole_is_named(bucket: fsspec.AbstractFileSystem, content: bytes, message: str) -> None:
    bucket.pipe_file("/models/some.safetensors", content)
    with pytest.raises(ConfigError, match=message):
        open_tensor_file("memory://models/some.safetensors")


def test_an_address_that_leads_nowhere_is_told(bucket: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(ConfigError, match=r"memory://none/x\.safetensors does not exist"):
        open_tensor_file("memory://none/x.safetensors")
    with pytest.raises(ConfigError, match=r"model\.path='memory://none' cannot be listed"):
        load_pretrained("memory://none")
    with pytest.raises(ConfigError, match="nowhere://model"):
        load_pretrained("nowhere://model")
