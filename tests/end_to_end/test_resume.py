# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run that was stopped, however rudely, ends with the same log and the same weights as one that was not.

Each run is a process of its own with two devices, since only a process can be killed.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grpo_jax.tracking.metrics import read_metrics
from tests.fakes.scripted_reward import SLOW
from tests.fakes.tiny_run import tiny_run
from tests.fakes.xla_flags import xla_flags

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 180

CONFIG = """\
from pathlib import Path

from grpo_jax.config import CurriculumConfig, EvaluationConfig, ParallelConfig, RewardPhase, TrainingConfig
from grpo_jax.replay_config import ReplayConfig
from tests.fakes.scripted_reward import reward_name
from tests.fakes.tiny_run import tiny_run


def config():
    return tiny_run(
        Path(),
        training=TrainingConfig(
            max_steps=6, learning_rate=1e-3, schedule="cosine", minibatches=2, microbatch_tokens=128
        ),
        parallel=ParallelConfig(data=1, fsdp=2),
        replay=ReplayConfig(groups_per_step=2, max_solve_rate=0.75, max_staleness=6),
        evaluation=EvaluationConfig(every_steps=2, max_problems=2, temperature=0.7),
        curriculum=CurriculumConfig(
            phases=(
                RewardPhase("shape", {reward_name("share_of_plain"): 1.0, reward_name("share_of_strange"): 0.5}),
                RewardPhase("length", metric="reward/plain/mean", above=-1.0, for_steps=3),
                RewardPhase("end", from_progress=0.75),
            )
        ),
    )
"""

UNREPEATABLE = ("time/", "throughput/", "memory/", "reward_workers/")
"""Prefixes of metrics that tell of the machine and the moment."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    tiny_run(folder)
    (folder / "config.py").write_text(CONFIG)
    return folder


def start(folder: Path, exp_name: str, *words: str, check_seconds: float = 0.0) -> subprocess.Popen[str]:
    """`grpo-jax train` in a process group of its own."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": xla_flags(2),
        SLOW: str(check_seconds),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "grpo_jax", "train", "config.py", f"exp_name={exp_name}", *words],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(run: subprocess.Popen[str]) -> str:
    """What the run printed, once it has ended well."""
    shown, _ = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 0, shown
    return shown


def stop_after(
    folder: Path, exp_name: str, step: int, stop: Callable[[subprocess.Popen[str]], None], *words: str
) -> str:
    """Start a run with slow checks, stop it as soon as the step's line is in its log, and return what it printed."""
    run = start(folder, exp_name, *words, check_seconds=0.02)
    log, deadline = folder / "out" / exp_name / "metrics.jsonl", time.monotonic() + PATIENCE_SECONDS
    while not (log.exists() and any(row["step"] == step for row in read_metrics(log))):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    stop(run)
    shown, _ = run.communicate(timeout=PATIENCE_SECONDS)
    assert read_metrics(log)[-1]["step"] < 6, "the run ended before it was stopped"
    return shown


def kill(run: subprocess.Popen[str]) -> None:
    os.killpg(run.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def unbroken(folder: Path) -> Iterator[Path]:
    finish(start(folder, "unbroken", "checkpoint.every_steps=3"))
    yield folder / "out" / "unbroken"
    shutil.rmtree(folder / "out" / "unbroken")


def repeatable(run: Path) -> list[dict[str, float]]:
    """The log without what no two runs share."""
    rows = read_metrics(run / "metrics.jsonl")
    return [{name: row[name] for name in row if not name.startswith(UNREPEATABLE)} for row in rows]


def assert_same_run(found: Path, unbroken: Path) -> None:
    assert repeatable(found) == repeatable(unbroken)
    assert [row["step"] for row in repeatable(found)] == [0, 1, 2, 3, 4, 5, 6]
    assert sum(row.get("replay/used", 0) for row in repeatable(found)) > 3
    assert max(row.get("replay/staleness_max", 0) for row in repeatable(found)) > 2
    assert [row.get("curriculum/phase") for row in repeatable(found)] == [None, 0, 0, 0, 1, 1, 2]
    for part in ("final_model/model.safetensors", *(f"completions/step-{step:06d}.jsonl" for step in range(1, 7))):
        assert (found / part).read_bytes() == (unbroken / part).read_bytes(), part


@pytest.mark.parametrize("every_steps", [1, 2])
def test_a_killed_run_repeats_an_unbroken_one(every_steps: int, folder: Path, unbroken: Path) -> None:
    """With a checkpoint every second step, the run goes on from an older step than the one it was killed after."""
    name, words = f"killed_{every_steps}", (f"checkpoint.every_steps={every_steps}",)
    stop_after(folder, name, 3, kill, *words)
    shown = finish(start(folder, name, *words))
    assert "going on after step" in shown
    assert "step 1/6" not in shown
    assert_same_run(folder / "out" / name, unbroken)


def test_a_terminated_run_saves_and_repeats_an_unbroken_one(folder: Path, unbroken: Path) -> None:
    words = ("checkpoint.every_steps=100",)
    shown = stop_after(folder, "terminated", 2, lambda run: run.send_signal(signal.SIGTERM), *words)
    run = folder / "out" / "terminated"
    last = read_metrics(run / "metrics.jsonl")[-1]["step"]
    assert f"stopped by SIGTERM after step {last}" in shown
    assert "stopped early; the same command goes on from here" in shown
    assert (run / "checkpoints" / str(last)).is_dir()
    assert (run / "report.html").is_file()
    assert not (run / "final_model").exists()
    assert f"going on after step {last}" in finish(start(folder, "terminated", *words))
    assert_same_run(run, unbroken)


@pytest.mark.slow
def test_a_step_that_outlasts_the_grace_is_given_up_and_nothing_saved_is_lost(folder: Path, unbroken: Path) -> None:
    words = ("checkpoint.every_steps=1",)
    run = start(folder, "hurried", *words, "checkpoint.grace_seconds=1", check_seconds=1.0)
    saved, deadline = folder / "out" / "hurried" / "checkpoints" / "2", time.monotonic() + PATIENCE_SECONDS
    while not saved.exists():
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.0)  # into the third step, whose checks take many seconds
    run.send_signal(signal.SIGTERM)
    shown, _ = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 3, shown
    assert "SIGTERM asked to stop and the step did not end within checkpoint.grace_seconds=1; leaving without" in shown
    assert "going on after step 2" in finish(start(folder, "hurried", *words))
    assert_same_run(folder / "out" / "hurried", unbroken)
