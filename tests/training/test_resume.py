# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which checkpoint a run goes on from, what that deletes, and which changes it refuses."""

import importlib.util
import json
import logging

import jax
import jax.numpy as jnp
import pytest

from grpo_jax.checkpoint.run_weights import find_checkpoint
from grpo_jax.config import CheckpointConfig, ParallelConfig
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import replicated
from grpo_jax.records import ConfigError
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.training.resume import (
    check_unchanged,
    checkpoint_run_folder,
    open_checkpoints,
    restore,
    write_config_beside,
)
from grpo_jax.training.state import TrainState

CONFIG = {
    "seed": 0,
    "model": {"path": "m", "dtype": "float32", "lora": {"rank": 16}},
    "data": {"train_sources": ["a"], "prompts_per_step": 4, "mixing": "weighted"},
    "domains": {"plain": {"weight": 1.0, "rewards": {"math": 1.0}}},
    "training": {"learning_rate": 1e-3, "optimizer": "adamw"},
}


def changed(name, value):
    """CONFIG with one dotted field changed."""

    def edit(tree, keys):
        return {**tree, keys[0]: edit(tree[keys[0]], keys[1:]) if keys[1:] else value}

    return edit(CONFIG, name.split("."))


def state_of(step):
    placement = replicated(make_mesh(ParallelConfig(), jax.devices()[:1]))
    return jax.device_put(TrainState({"w": jnp.full(3, float(step))}, (), jnp.int32(step)), placement)


@pytest.fixture
def run(tmp_path):
    """A run with checkpoints 2, 4 and 6, and the manager that a new start opened."""
    folder = RunFolder(tmp_path, "run")
    folder.create()
    manager = open_checkpoints(folder, CheckpointConfig(keep=5), "auto")
    for step in (2, 4, 6):
        manager.save(step, state_of(step), {"config": CONFIG, "loader": step})
    manager.wait()
    yield folder, manager
    manager.close()


def go_on(manager, resume, config=CONFIG):
    return restore(manager, resume, state_of(0), config)


def steps_of(folder):
    return sorted(int(path.name) for path in folder.checkpoints.iterdir() if path.name.isdecimal())


def test_auto_takes_the_newest(run):
    step, state, host = go_on(run[1], "auto")
    assert (step, int(state.num_updates), host["loader"]) == (6, 6, 6)
    assert steps_of(run[0]) == [2, 4, 6]


def test_never_starts_afresh_without_the_earlier_checkpoints(run):
    folder, manager = run
    assert go_on(manager, "never") is None
    again = open_checkpoints(folder, CheckpointConfig(), "never")
    assert again.latest_step() is None
    again.close()


def test_going_back_deletes_the_checkpoints_of_the_course_not_taken(run):
    folder, manager = run
    step, state, _ = go_on(manager, str(folder.checkpoints / "2"))
    assert (step, int(state.num_updates)) == (2, 2)
    assert steps_of(folder) == [2]
    assert manager.save(4, state_of(40), {"config": CONFIG, "loader": 4})
    manager.wait()
    assert int(go_on(manager, "auto")[1].num_updates) == 40


def test_a_new_run_goes_on_from_another_runs_newest_and_leaves_it_alone(run, tmp_path):
    folder, _ = run
    other = RunFolder(tmp_path, "other")
    other.create()
    manager = open_checkpoints(other, CheckpointConfig(keep=1), "auto")
    assert go_on(manager, str(folder.path))[0] == 6
    assert go_on(manager, str(folder.checkpoints / "4"))[0] == 4
    assert steps_of(folder) == [2, 4, 6]
    manager.close()


def test_a_run_with_checkpoints_of_its_own_does_not_go_on_from_another(run, tmp_path):
    folder, manager = run
    other = RunFolder(tmp_path, "other")
    other.create()
    theirs = open_checkpoints(other, CheckpointConfig(), "auto")
    theirs.save(9, state_of(9), {"config": CONFIG, "loader": 9})
    theirs.close()
    with pytest.raises(ConfigError, match=r"--resume .*other is of another run.*choose another exp_name"):
        go_on(manager, str(other.path))
    assert steps_of(folder) == [2, 4, 6]


def test_a_path_without_a_checkpoint_is_named(run, tmp_path):
    with pytest.raises(ConfigError, match="nowhere is neither a checkpoint nor a run's folder"):
        go_on(run[1], str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("model.path", "other"),
        ("data.train_sources", ["a", "b"]),
        ("data.prompts_per_step", 8),
        ("data.mixing", "balanced"),
        ("domains.plain.weight", 2.0),
        ("domains.plain.rewards.math", 0.5),
        ("model.lora.rank", 8),
        ("training.optimizer", "lion"),
    ],
)
@pytest.mark.parametrize("resume", ["auto", "folder"])
def test_what_decides_data_and_randomness_cannot_change(name, value, resume, run):
    folder, manager = run
    with pytest.raises(ConfigError, match=rf"{name} was .* cannot change on resume.*--resume never"):
        go_on(manager, str(folder.checkpoints / "2") if resume == "folder" else "auto", changed(name, value))
    assert steps_of(folder) == [2, 4, 6]


def test_other_changes_are_allowed_and_listed(caplog):
    with caplog.at_level(logging.INFO, logger="grpo_jax"):
        check_unchanged(CONFIG, changed("training.learning_rate", 1e-4))
    assert "training.learning_rate changed from 0.001 to 0.0001" in caplog.text


def test_a_tuple_and_the_list_that_json_made_of_it_are_the_same():
    check_unchanged(CONFIG, changed("data.train_sources", ("a",)))


PHASES = [{"name": "first"}, {"name": "second", "from_progress": 0.5}]
WAITING = [{"name": "first"}, {"name": "second", "metric": "reward/mean"}]


@pytest.mark.parametrize("phases", [PHASES, [{"name": "a"}, {"name": "b"}, {"name": "c"}]])
def test_the_length_of_a_run_is_fixed_once_phases_begin_by_progress(phases):
    before = {"training": {"max_steps": 100}, "curriculum": {"phases": phases}}
    now = {"training": {"max_steps": 200}, "curriculum": {"phases": phases}}
    with pytest.raises(ConfigError, match=r"training\.max_steps was 100 in the checkpoint and is 200 now"):
        check_unchanged(before, now)


@pytest.mark.parametrize("phases", [[], WAITING])
def test_the_length_of_a_run_may_change_where_no_phase_depends_on_it(phases):
    before = {"training": {"max_steps": 100}, "curriculum": {"phases": phases}}
    check_unchanged(before, {**before, "training": {"max_steps": 200}})


def test_phases_cannot_change_in_mid_run():
    before = {"training": {"max_steps": 100}, "curriculum": {"phases": PHASES}}
    with pytest.raises(ConfigError, match=r"curriculum\.phases was"):
        check_unchanged(before, {**before, "curriculum": {"phases": WAITING}})


def test_checkpoints_elsewhere_stand_in_a_namesake_of_the_runs_folder(tmp_path):
    folder = RunFolder(tmp_path / "out", "run")
    folder.create()
    folder.write_config({"exp_name": "run", "checkpoint": {"folder": str(tmp_path / "far")}})
    settings = CheckpointConfig(folder=f"{tmp_path}/far/")
    manager = open_checkpoints(folder, settings, "auto")
    manager.save(3, state_of(3), {"config": CONFIG, "loader": 3})
    write_config_beside(manager, folder)
    manager.close()
    assert manager.folder == tmp_path / "far" / "run" / "checkpoints"
    assert json.loads((tmp_path / "far" / "run" / "config.json").read_text())["exp_name"] == "run"
    for path in (folder.path, tmp_path / "far" / "run"):
        assert find_checkpoint(path) == tmp_path / "far" / "run" / "checkpoints" / "3"
    assert go_on(open_checkpoints(folder, settings, "auto"), "auto")[0] == 3
    assert open_checkpoints(folder, settings, "never").latest_step() is None


def test_a_bucket_stays_an_address_and_wants_its_package(tmp_path):
    folder = RunFolder(tmp_path, "run")
    assert str(checkpoint_run_folder(folder, CheckpointConfig(folder="gs://bucket/all"))) == "gs://bucket/all/run"
    if importlib.util.find_spec("gcsfs") is None:
        with pytest.raises(ConfigError, match=r"gs://bucket/all/run/checkpoints: .*pip install grpo-jax\[gcs\]"):
            open_checkpoints(folder, CheckpointConfig(folder="gs://bucket/all"), "auto")
