# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The policy alone out of a checkpoint that holds more."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from etils.epath.backend import fsspec_backend
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from grpo_jax.checkpoint.manager import CheckpointManager
from grpo_jax.checkpoint.run_weights import absolute_path, find_checkpoint, restore_params
from grpo_jax.config import ParallelConfig
from grpo_jax.models.transformer import abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import param_shardings, replicated
from grpo_jax.records import ConfigError
from tests.fakes.tiny_model import tiny_architecture, tiny_params


def save(folder, step, arch, seed=0):
    """A checkpoint like a run's: named fields, weights beside the optimizer's moments and a counter."""
    params = tiny_params(arch, seed)
    state = {"params": params, "optimizer": optax.adam(1e-3).init(params), "num_updates": jnp.int32(step)}
    placement = replicated(make_mesh(ParallelConfig(), jax.devices()[:1]))
    manager = CheckpointManager(folder / "checkpoints", keep=9)
    manager.save(step, jax.device_put(state, placement), {"config": {}})
    manager.close()
    return params


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder with checkpoints 9 and 10, and the weights of both."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, {step: save(folder, step, tiny_architecture(), seed=step) for step in (9, 10)}


def test_a_runs_folder_means_its_newest_checkpoint_by_number(run):
    folder, _ = run
    assert find_checkpoint(folder) == folder / "checkpoints" / "10"
    assert find_checkpoint(folder / "checkpoints" / "9") == folder / "checkpoints" / "9"


@pytest.mark.parametrize("name", [".", "absent", "run/checkpoints", "run/checkpoints/11"])
def test_a_folder_without_a_checkpoint_is_refused(name, run):
    with pytest.raises(ConfigError, match="neither a checkpoint nor a run's folder"):
        find_checkpoint(run[0].parent / name)


def test_unfinished_and_damaged_checkpoints_do_not_count(tmp_path):
    for name in ("3", "7.orbax-checkpoint-tmp", "8.damaged"):
        (tmp_path / "checkpoints" / name / "state").mkdir(parents=True)
    assert find_checkpoint(tmp_path).name == "3"


def test_a_run_whose_config_is_damaged_is_refused_by_its_name(tmp_path):
    (tmp_path / "config.json").write_text('{"checkpoint": {"fol', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.json is not JSON"):
        find_checkpoint(tmp_path)


class Bucket(MemoryFileSystem):
    """Stands where `gcsfs` would, without a network: what `gs://` means to everything above storage."""

    protocol = ("gcs", "gs")
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("gs://").removeprefix("gcs://"))


@pytest.fixture
def bucket(monkeypatch):
    monkeypatch.setitem(_registry, "gcs", Bucket)
    fsspec_backend._get_filesystem.cache_clear()
    yield Bucket()
    fsspec_backend._get_filesystem.cache_clear()


def test_an_address_is_not_mangled_and_a_local_path_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert str(absolute_path("gs://bucket/a/run")) == "gs://bucket/a/run"
    assert str(absolute_path("gs://bucket/a/run") / "checkpoints" / "7") == "gs://bucket/a/run/checkpoints/7"
    assert str(absolute_path("run")) == str(tmp_path / "run")


def test_the_newest_complete_checkpoint_of_a_bucket_and_of_the_run_that_puts_its_own_there(bucket, tmp_path):
    for step in (3, 10, 12):
        bucket.pipe(f"/bucket/all/run/checkpoints/{step}/state/_METADATA", b"{}")
        if step != 12:  # a bucket has no renaming: Orbax marks a complete checkpoint by a file in it
            bucket.pipe(f"/bucket/all/run/checkpoints/{step}/commit_success.txt", b"")
    expected = "gs://bucket/all/run/checkpoints/10"
    assert str(find_checkpoint("gs://bucket/all/run")) == expected
    assert str(find_checkpoint("gs://bucket/all/run/checkpoints/3")).endswith("/3")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text('{"checkpoint": {"folder": "gs://bucket/all"}}')
    assert str(find_checkpoint(tmp_path / "run")) == expected


def test_weights_come_back_bit_for_bit_without_the_optimizer(run):
    folder, saved = run
    _, shapes, _ = abstract_params(tiny_architecture())
    for path, step in ((folder, 10), (folder / "checkpoints" / "9", 9)):
        jax.tree.map(np.testing.assert_array_equal, restore_params(path, shapes), saved[step])


def test_weights_lie_where_they_are_wanted(run):
    _, shapes, names = abstract_params(tiny_architecture())
    shardings = param_shardings(make_mesh(ParallelConfig(fsdp=2, tensor=2), jax.devices()[:4]), shapes, names)
    wanted = jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), shapes, shardings)
    found = restore_params(run[0], wanted)
    assert jax.tree.map(lambda leaf: leaf.sharding, found) == shardings
    jax.tree.map(np.testing.assert_array_equal, found, run[1][10])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mlp_size": 96}, r"layers\.down has shape \(2, 64, 32\), the model wants \(2, 96, 32\)"),
        ({"qk_norm": True}, r"layers\.key_norm has shape None, the model wants \(2, 8\)"),
        ({"tied_embeddings": False}, r"head has shape None, the model wants \(258, 32\)"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_by_name(changes, message, run):
    _, shapes, _ = abstract_params(tiny_architecture(**changes))
    with pytest.raises(ConfigError, match=message):
        restore_params(run[0], shapes)
