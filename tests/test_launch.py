# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The shell scripts: they parse, explain themselves, stop at the first failure and choose a Python that runs."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [ROOT / "launch" / "quickstart.sh", ROOT / "launch" / "test.sh"]
ALL = [*sorted((ROOT / "launch").glob("*.sh")), ROOT / ".ci" / "run"]


def bash(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *words], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", ALL, ids=lambda path: path.name)
def test_script_is_valid_bash(script):
    assert bash("-n", str(script)).stderr == ""


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_script_stops_at_the_first_failure(script):
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_explains_itself_without_installing(script):
    shown = bash(str(script), "--help")
    assert shown.returncode == 0
    assert f"usage: bash launch/{script.name}" in shown.stdout
    assert shown.stderr == ""


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_scripts_pass_shellcheck():
    finished = subprocess.run(
        ["shellcheck", "-x", *map(str, ALL)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout


def fake_python(folder: Path, name: str, exit_code: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_shim_that_does_not_run_is_passed_over(tmp_path):
    fake_python(tmp_path / "bin", "python3.13", 127)
    wanted = fake_python(tmp_path / "bin", "python3.12", 0)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    found = bash("-c", "source launch/environment.sh; find_python", PATH=path, PYTHON="")
    assert found.stdout.strip() == str(wanted)


def test_named_python_comes_first(tmp_path):
    wanted = fake_python(tmp_path / "bin", "mine", 0)
    found = bash("-c", "source launch/environment.sh; find_python", PYTHON=str(wanted))
    assert found.stdout.strip() == str(wanted)


def test_no_supported_python_is_said_with_a_remedy(tmp_path):
    (tmp_path / "bin").mkdir()
    found = bash("-c", f"source launch/environment.sh; PATH={tmp_path / 'bin'}; find_python", PYTHON="")
    assert found.returncode == 2
    assert "Python 3.11, 3.12 or 3.13" in found.stderr


def test_active_environment_is_kept(tmp_path):
    fake_python(tmp_path / "bin", "python", 0)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    code = f"source launch/environment.sh; use_environment {tmp_path}/other"
    found = bash("-c", code, PATH=path, VIRTUAL_ENV=str(tmp_path))
    assert found.returncode == 0
    assert str(tmp_path) in found.stdout
    assert not (tmp_path / "other").exists()
