# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Round trips bit for bit on any mesh; unfinished and damaged checkpoints; errors that name what differs."""

import logging
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from grpo_jax.checkpoint.best_checkpoints import BestCheckpoints
from grpo_jax.checkpoint.disk_errors import DiskError
from grpo_jax.checkpoint.fingerprint import fingerprints
from grpo_jax.checkpoint.manager import CheckpointManager, DamagedCheckpointError
from grpo_jax.config import CheckpointConfig, ParallelConfig
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.records import ConfigError

HOST = {"data": {"next_index": 17}, "loss": 0.1 + 0.2, "names": ["a", "b"], "none": None}


@pytest.fixture
def manager(tmp_path):
    keeps_two = CheckpointManager(tmp_path / "checkpoints", keep=2)
    yield keeps_two
    keeps_two.close()


def make_state(num_devices=1, seed=0, width=8):
    """A state shaped like a run's: weights, optimizer state with counters, and the dtypes that occur."""
    mesh = make_mesh(ParallelConfig(), jax.devices()[:num_devices])
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(16, width)).astype(np.float32)
    weights[0, 0], weights[0, 1], weights[0, 2] = np.nan, -0.0, 1e-42
    params = {"embedding": jnp.asarray(weights), "layers": {"norm": jnp.asarray(rng.normal(size=(8,)), jnp.float32)}}
    state = {
        "params": params,
        "optimizer": optax.adam(1e-3).init(params),
        "half": jnp.asarray(rng.normal(size=(8, 3)), jnp.bfloat16),
        "version": jnp.int32(seed),
        "flags": jnp.asarray(rng.random(8) < 0.5),
    }
    return jax.device_put(state, jax.tree.map(lambda x: sharding_of(mesh, x), state))


def sharding_of(mesh, leaf):
    return NamedSharding(mesh, P("fsdp") if leaf.ndim else P())


def abstract(state):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)


def assert_same_bits(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def save_steps(manager, *steps):
    states = {step: make_state(seed=step) for step in steps}
    for step, state in states.items():
        manager.save(step, state, {"step": step})
    manager.wait()
    return states


def largest_file(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize(("saved_on", "restored_on"), [(1, 1), (1, 8), (8, 1), (2, 4)])
def test_round_trip_keeps_every_bit_on_any_number_of_devices(manager, saved_on, restored_on):
    state = make_state(saved_on)
    assert manager.save(3, state, HOST)
    wanted = abstract(make_state(restored_on))
    restored, host = manager.restore(3, wanted)
    assert_same_bits(restored, state)
    assert host == HOST
    assert jax.tree.map(lambda x: x.sharding, restored) == jax.tree.map(lambda x: x.sharding, wanted)


def test_arrays_can_be_donated_as_soon_as_save_returns(manager):
    state = jax.tree.map(jnp.array, make_state(width=4096))
    copy = jax.tree.map(np.array, state)
    manager.save(1, state, {})
    overwrite = jax.jit(
        lambda tree: jax.tree.map(lambda x: x ^ True if x.dtype == bool else x + 1, tree), donate_argnums=0
    )
    state = jax.block_until_ready(overwrite(state))
    restored, _ = manager.restore(1, abstract(state))
    assert_same_bits(restored, copy)


def test_newest_are_kept_and_a_saved_step_is_not_saved_again(manager, tmp_path):
    assert manager.latest_step() is None
    save_steps(manager, 2, 5, 9)
    assert manager.latest_step() == 9
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["5", "9"]
    assert not manager.save(9, make_state(seed=1), {})


def test_older_one_survives_until_the_newer_is_complete(tmp_path, monkeypatch):
    manager = CheckpointManager(tmp_path, keep=1)
    save_steps(manager, 1)
    seen = []
    rename = os.rename

    def watch(source, target, **options):
        seen.append((Path(target).name, (tmp_path / "1").is_dir()))
        rename(source, target, **options)

    monkeypatch.setattr(os, "rename", watch)
    save_steps(manager, 2)
    assert ("2", True) in seen
    assert [path.name for path in tmp_path.iterdir()] == ["2"]
    manager.close()


def test_unfinished_save_is_never_listed_and_is_gone_after_the_next_save(manager, tmp_path):
    states = save_steps(manager, 1, 2)
    folder = tmp_path / "checkpoints"
    (folder / "2").rename(folder / "2.orbax-checkpoint-tmp")
    again = CheckpointManager(folder, keep=2)
    assert again.latest_step() == 1
    step, state, host = again.restore_newest(abstract(states[1]))
    assert (step, host) == (1, {"step": 1})
    assert_same_bits(state, states[1])
    assert again.save(2, states[2], {"step": 2})
    again.close()
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]


def shorten(folder):
    path = largest_file(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_one_bit_of_a_weight(folder):
    path = largest_file(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def lose_the_host_state(folder):
    (folder / "host" / "metadata").unlink()


def lose_the_array_list(folder):
    (folder / "state" / "_METADATA").unlink()


def lose_everything_inside(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()


# Orbax leaves sibling reads of the failed one unawaited.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "damage",
    [shorten, flip_one_bit_of_a_weight, lose_the_host_state, lose_the_array_list, lose_everything_inside],
)
def test_damaged_newest_falls_back_to_the_one_before_with_one_warning(tmp_path, caplog, damage):
    first = CheckpointManager(tmp_path, keep=3)
    wide = {step: make_state(seed=step, width=2048) for step in (1, 2)}
    for step, state in wide.items():
        first.save(step, state, {"step": step})
    first.close()
    damage(tmp_path / "2")
    again = CheckpointManager(tmp_path, keep=3)
    with caplog.at_level(logging.WARNING, logger="grpo_jax"):
        step, state, host = again.restore_newest(abstract(wide[1]))
    assert (step, host) == (1, {"step": 1})
    assert_same_bits(state, wide[1])
    warnings = [record.getMessage() for record in caplog.records if record.name.startswith("grpo_jax")]
    assert len(warnings) == 1
    assert str(tmp_path / "2") in warnings[0]
    # The run comes to step 2 again and can save it.
    assert again.latest_step() == 1
    assert again.save(2, wide[2], {"step": 2})
    step, state, _ = again.restore_newest(abstract(wide[2]))
    assert step == 2
    assert_same_bits(state, wide[2])
    again.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_damaged_ones_fall_back_to_the_one_before_both_naming_each(tmp_path, caplog):
    first = CheckpointManager(tmp_path, keep=3)
    states = save_steps(first, 1, 2, 3)
    first.close()
    lose_the_host_state(tmp_path / "2")
    lose_the_array_list(tmp_path / "3")
    again = CheckpointManager(tmp_path, keep=3)
    with caplog.at_level(logging.WARNING, logger="grpo_jax"):
        step, state, _ = again.restore_newest(abstract(states[1]))
    again.close()
    assert step == 1
    assert_same_bits(state, states[1])
    warnings = [record.getMessage() for record in caplog.records if record.name.startswith("grpo_jax")]
    assert [f"checkpoint {tmp_path / str(damaged)} is damaged" in " ".join(warnings) for damaged in (2, 3)] == [
        True
    ] * 2
    assert all("going on from step 1" in warning for warning in warnings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2.damaged", "3.damaged"]


def test_the_best_is_kept_beside_the_newest_until_a_better_one_comes(tmp_path):
    best = BestCheckpoints(CheckpointConfig(keep_best=1))
    manager = CheckpointManager(tmp_path, keep=2, best=best)
    for step, score in {0: 0.0, 1: 0.5, 2: None, 3: 0.4, 4: None, 5: 0.6, 6: None, 7: None}.items():
        if score is not None:
            best.observe(step, {"eval/math/pass@1": score})
        manager.save(step, make_state(seed=step), {})
        manager.wait()
        kept = sorted(int(path.name) for path in tmp_path.iterdir())
        assert kept == sorted({0, *range(max(step - 1, 0), step + 1), *best.steps})
    assert kept == [0, 5, 6, 7]
    manager.close()


@contextmanager
def room_for_files_of(num_bytes):
    """A limit of the operating system, which files of every kind of this process run into."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def save_and_wait(manager, step, state):
    manager.save(step, state, {})
    manager.wait()


def test_no_room_in_the_middle_of_a_save_is_one_line_and_loses_nothing(tmp_path):
    manager = CheckpointManager(tmp_path / "run", keep=2)
    states = save_steps(manager, 1)
    large = make_state(seed=2, width=1 << 16)
    with room_for_files_of(1 << 20), pytest.raises(DiskError, match="Nothing that was saved is lost") as caught:
        save_and_wait(manager, 2, large)
    assert str(tmp_path / "run") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert manager.latest_step() == 1
    # The same command, after there is room again.
    again = CheckpointManager(tmp_path / "run", keep=2)
    step, state, _ = again.restore_newest(abstract(states[1]))
    assert step == 1
    assert_same_bits(state, states[1])
    assert again.save(2, large, {})
    again.close()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["1", "2"]


def test_a_refused_config_is_said_before_a_weight_that_does_not_fit(manager):
    save_steps(manager, 1)

    def refuse(host):
        raise ConfigError(f"seed of step {host['step']} differs")

    with pytest.raises(ConfigError, match="seed of step 1 differs"):
        manager.restore_newest(abstract(make_state(width=6)), refuse)


def test_only_damaged_checkpoints_raise_and_stay_where_they_are(tmp_path):
    manager = CheckpointManager(tmp_path, keep=2)
    manager.save(1, make_state(width=2048), {})
    manager.wait()
    flip_one_bit_of_a_weight(tmp_path / "1")
    with pytest.raises(DamagedCheckpointError, match="embedding"):
        manager.restore_newest(abstract(make_state(width=2048)))
    assert manager.latest_step() == 1
    manager.close()


def test_no_checkpoint_restores_none(manager):
    assert manager.restore_newest(abstract(make_state())) is None


def test_another_model_is_refused_naming_leaf_and_both_shapes(manager):
    save_steps(manager, 1)
    with pytest.raises(ConfigError) as error:
        manager.restore_newest(abstract(make_state(width=6)))
    assert "optimizer.0.mu.embedding" in str(error.value) or "params.embedding" in str(error.value)
    assert "(16, 8)" in str(error.value)
    assert "(16, 6)" in str(error.value)
    assert manager.latest_step() == 1


def test_other_leaves_and_dtypes_are_refused_by_name(manager):
    save_steps(manager, 1)
    wanted = abstract(make_state())
    with pytest.raises(ConfigError, match=r"half has dtype bfloat16.*wants float32"):
        manager.restore(
            1, {**wanted, "half": jax.ShapeDtypeStruct((8, 3), jnp.float32, sharding=wanted["half"].sharding)}
        )
    with pytest.raises(ConfigError, match="flags is only in the checkpoint"):
        manager.restore(1, {name: leaf for name, leaf in wanted.items() if name != "flags"})
    with pytest.raises(ConfigError, match="extra is only in this model"):
        manager.restore(1, {**wanted, "extra": wanted["version"]})
    with pytest.raises(ConfigError, match=r"no checkpoint 7 .*\[1\]"):
        manager.restore(7, wanted)


def test_host_state_that_is_not_json_is_refused_at_once(manager):
    with pytest.raises(TypeError):
        manager.save(1, make_state(), {"array": np.zeros(3)})
    manager.wait()
    assert manager.latest_step() is None


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"checkpoint folder .*file/checkpoints cannot be created"):
        CheckpointManager(tmp_path / "file" / "checkpoints", keep=1)


def test_fingerprint_is_the_same_on_any_mesh_and_sees_every_single_bit():
    state = make_state()
    assert fingerprints(state) == fingerprints(make_state(8))
    array = np.arange(40, dtype=np.float32).reshape(5, 8)
    whole = fingerprints(array)
    rng = np.random.default_rng(0)
    for _ in range(50):
        changed = array.copy()
        changed.view(np.uint32)[rng.integers(5), rng.integers(8)] ^= np.uint32(1 << int(rng.integers(32)))
        assert fingerprints(changed) != whole
    assert fingerprints(array[::-1].copy()) != whole
