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
SCRIPTS = [ROOT / "launch" / name for name in ("quickstart.sh", "test.sh", "gpu.sh", "tpu_pod.sh")]
BATCH_SCRIPT = ROOT / "launch" / "slurm" / "train.sbatch"
ALL = [*sorted((ROOT / "launch").rglob("*.sh")), BATCH_SCRIPT, ROOT / ".ci" / "run"]
CONFIG = "configs/quickstart.py"


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


def recorder(folder: Path, name: str, answer: str = "", exit_code: int = 0) -> Path:
    """A command that writes its words to NAME.log, a line a call, and prints an answer."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    log = folder / f"{name}.log"
    path.write_text(f"#!/usr/bin/env bash\nprintf '%s\\n' \"$*\" >> {log}\n{answer}\nexit {exit_code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def calls(folder: Path, name: str) -> list[str]:
    log = folder / f"{name}.log"
    return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def recorded(tmp_path: Path) -> dict[str, str]:
    """An environment whose pip, grpo-jax and srun only write down what they are asked, in an active `.venv`."""
    bin_folder = tmp_path / "bin"
    recorder(bin_folder, "grpo-jax", 'printf "%s\\n" "${XLA_FLAGS:-}" > "$(dirname "$0")/flags"')
    recorder(bin_folder, "srun", 'printf "%s\\n" "${XLA_FLAGS:-}" > "$(dirname "$0")/flags"')
    python = bin_folder / "python"
    python.write_text(f'#!/usr/bin/env bash\n[[ "$1" == -m ]] && echo "$*" >> {bin_folder}/pip.log\nexit 0\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (bin_folder / "activate").write_text("")
    return {"PATH": f"{bin_folder}:{os.environ['PATH']}", "VIRTUAL_ENV": str(tmp_path), "XLA_FLAGS": "--mine=1"}


@pytest.mark.parametrize(("driver", "extra"), [("12.4", "cuda12"), ("13.0", "cuda13"), ("14.1", "cuda13")])
def test_gpu_script_installs_what_the_driver_supports_and_trains(driver, extra, tmp_path, recorded):
    recorder(
        tmp_path / "bin", "nvidia-smi", f"echo '| NVIDIA-SMI 580.1  Driver Version: 580.1  CUDA Version: {driver} |'"
    )
    done = bash("launch/gpu.sh", CONFIG, "seed=3", "--resume", "never", **recorded)
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path / "bin", "pip")[-1].endswith(f"--editable .[{extra}]")
    assert calls(tmp_path / "bin", "grpo-jax") == [f"train {ROOT / CONFIG} seed=3 --resume never"]
    flags = (tmp_path / "bin" / "flags").read_text().split()
    assert "--xla_gpu_enable_latency_hiding_scheduler=true" in flags
    assert flags[-1] == "--mine=1", "what the caller set must win"


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ("echo 'no devices were found'; exit 9", "no NVIDIA driver"),
        ("echo 'CUDA Version: 11.8'", "supports CUDA 11 at most"),
        ("echo 'something else'", "names no CUDA version"),
    ],
)
def test_gpu_script_names_what_is_wrong_with_the_driver(shown, message, tmp_path, recorded):
    recorder(tmp_path / "bin", "nvidia-smi", shown)
    done = bash("launch/gpu.sh", CONFIG, **recorded)
    assert done.returncode == 2
    assert message in done.stderr
    assert not calls(tmp_path / "bin", "grpo-jax")


def test_scripts_refuse_a_config_that_is_not_there():
    for script in ("launch/gpu.sh", "launch/tpu_pod.sh"):
        done = bash(script, "configs/absent.py")
        assert done.returncode == 2
        assert "absent.py: no such config" in done.stderr


def test_gpu_flags_are_ones_that_this_jax_knows():
    code = 'source launch/xla_flags.sh; use_xla_flags gpu; python -c "import jax; jax.devices()"'
    done = bash("-c", code, XLA_FLAGS="", JAX_PLATFORMS="cpu", PYTHONWARNINGS="ignore")
    assert done.returncode == 0, done.stderr
    assert "Unknown flag" not in done.stderr


GCLOUD = """
case "$*" in
  *"queued-resources describe"*) cat "$(dirname "$0")/state" 2>/dev/null ;;
  *"queued-resources create"*) echo ACTIVE > "$(dirname "$0")/state" ;;
  *"exit-code"*"tail"*) exit 0 ;;
  *"tail -n"*) exit ${RUN_CODE:-0} ;;
esac
"""


def pod(tmp_path: Path, *words: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    gcloud = recorder(tmp_path / "bin", "gcloud", GCLOUD)
    recorder(tmp_path / "bin", "python-for-wheel")
    done = bash(
        "launch/tpu_pod.sh",
        *words,
        "--output",
        str(tmp_path / "out"),
        CONFIG,
        "seed=3",
        "exp_name=it's mine",
        GCLOUD=str(gcloud),
        PYTHON=str(tmp_path / "bin" / "python-for-wheel"),
        POLL_SECONDS="0",
        **environment,
    )
    return done, calls(tmp_path / "bin", "gcloud")


def test_a_pod_is_made_filled_started_followed_and_fetched(tmp_path):
    done, asked = pod(tmp_path, "--name", "mine", "--zone", "z", "--type", "v6e-16", "--spot")
    assert done.returncode == 0, done.stderr
    text = "\n".join(asked)
    order = [
        "queued-resources create mine --zone=z --node-id=mine --accelerator-type=v6e-16",
        "rm -rf configs exit-code",
        "scp --recurse",
        "uv pip install",
        "nohup",
        "tail -n +1 -F run.log",
        "mine:grpo-jax-run/out",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert "--spot" in asked[1]
    start = next(line for line in asked if "nohup" in line)
    assert "--worker=all" in start
    assert "LIBTPU_INIT_ARGS=" in start
    script = start.split("nohup bash -c ")[1].split(" > run.log")[0]
    unquoted = bash("-c", f"printf %s {script}").stdout
    assert "grpo-jax train configs/quickstart.py parallel.distributed=always seed=3" in unquoted
    assert bash("-c", f"set -- {unquoted.split('train ')[1].split(';')[0]}; printf '%s|' \"$@\"").stdout.endswith(
        "exp_name=it's mine|"
    )


def test_a_pod_that_is_there_is_reused_and_its_runs_end_is_ours(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "state").write_text("ACTIVE")
    done, asked = pod(tmp_path, RUN_CODE="1")
    assert done.returncode == 1
    assert not [line for line in asked if " create " in line]
    assert [line for line in asked if "grpo-jax-run/out" in line], "results are fetched whatever the end was"


def test_a_dry_run_asks_the_cloud_for_nothing(tmp_path):
    done, asked = pod(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert asked == []
    assert "queued-resources create" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tipe", "x"), "unknown option --tipe"),
        (("--type", "a100-8"), "has no known runtime"),
        (("--zone",), "--zone"),
    ],
)
def test_wrong_options_of_a_pod_are_named(words, message, tmp_path):
    done = bash("launch/tpu_pod.sh", *words, *(() if words == ("--zone",) else (CONFIG,)))
    assert done.returncode == 2
    assert message in done.stderr


def test_the_batch_script_starts_one_task_a_node_and_ends_as_it_does(tmp_path, recorded):
    environment = recorded | {"SLURM_JOB_ID": "7", "SLURM_SUBMIT_DIR": str(ROOT), "GRPO_JAX_VENV": str(tmp_path)}
    (tmp_path / "bin" / "activate").write_text("")
    done = bash(str(BATCH_SCRIPT), CONFIG, "seed=3", **environment)
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path / "bin", "srun") == [f"--kill-on-bad-exit=1 grpo-jax train {CONFIG} seed=3"]
    assert "#SBATCH --ntasks-per-node=1" in BATCH_SCRIPT.read_text()
    recorder(tmp_path / "bin", "srun", exit_code=3)
    assert bash(str(BATCH_SCRIPT), CONFIG, **environment).returncode == 3
    outside = bash(str(BATCH_SCRIPT), CONFIG, SLURM_JOB_ID="")
    assert (outside.returncode, "submit it with sbatch" in outside.stderr) == (2, True)


def test_the_batch_script_explains_itself():
    shown = bash(str(BATCH_SCRIPT), "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith("usage: sbatch --nodes=N")
