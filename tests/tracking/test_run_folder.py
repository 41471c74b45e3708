# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The run's folder."""

import json

import pytest

from grpo_jax.records import ConfigError
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically


def test_layout_is_the_documented_one(tmp_path):
    folder = RunFolder(tmp_path, "first")
    relative = {
        name: str(getattr(folder, name).relative_to(tmp_path / "first"))
        for name in (
            "config_json",
            "metrics",
            "tensorboard",
            "completions",
            "checkpoints",
            "final_model",
            "report",
        )
    }
    assert relative == {
        "config_json": "config.json",
        "metrics": "metrics.jsonl",
        "tensorboard": "tensorboard",
        "completions": "completions",
        "checkpoints": "checkpoints",
        "final_model": "final_model",
        "report": "report.html",
    }
    assert [folder.log(host).name for host in (0, 1)] == ["log.txt", "log-1.txt"]


def test_creating_twice_keeps_what_is_there(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "out", "run")
    folder.create()
    folder.write_config({"seed": 1})
    folder.create()
    assert json.loads(folder.config_json.read_text()) == {"seed": 1}
    assert folder.completions.is_dir()


def test_output_dir_that_is_a_file_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="output_dir"):
        RunFolder(tmp_path / "out", "run").create()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_name_that_leaves_the_output_dir_is_refused(name):
    with pytest.raises(ConfigError, match="exp_name"):
        RunFolder("out", name)


def test_atomic_write_replaces_and_leaves_no_other_file(tmp_path):
    path = tmp_path / "file.txt"
    write_text_atomically(path, "one")
    write_text_atomically(path, "två")
    assert path.read_text(encoding="utf-8") == "två"
    assert list(tmp_path.iterdir()) == [path]
