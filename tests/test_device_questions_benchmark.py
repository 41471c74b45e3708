# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The script runs where there is no accelerator, and finds the unstable parts of JAX that the package leans on."""

import json

import pytest

from benchmarks import device_questions
from benchmarks.device_questions import check_imports


def test_tiny_run_prints_every_answer(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["device_questions", "--tiny", "--repeats", "1"])
    device_questions.main()
    found = json.loads(capsys.readouterr().out)
    assert set(found["layers"]["2 lanes"]) == {"unrolled, default", "scanned, default"}
    assert all(figures["milliseconds_a_token"] > 0 for figures in found["layers"]["2 lanes"].values())
    assert found["backward"]["xla"]["milliseconds"] > 0
    assert "cannot_run" in found["backward"]["cudnn"]


@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_unstable_imports_of_the_package_exist_in_this_jax():
    found = check_imports()
    assert "jax.experimental.pallas.triton" in found
    assert set(found.values()) == {"ok"}


def test_a_missing_import_is_told(tmp_path):
    (tmp_path / "leaning.py").write_text("from jax.experimental.pallas import vanished\nimport jax.experimental.gone\n")
    found = check_imports(tmp_path)
    assert set(found) == {"jax.experimental.pallas.vanished", "jax.experimental.gone"}
    assert all("No module named" in reason for reason in found.values())
