# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes train like one with as many devices; losing one ends the others, and any number resumes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from grpo_jax.tracking.metrics import read_metrics
from tests.fakes.network_hosts import NetworkHost, network_hosts, no_network_hosts
from tests.fakes.tiny_run import tiny_run
from tests.fakes.xla_flags import xla_flags

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 300

CONFIG = """\
from pathlib import Path

from grpo_jax.config import EvaluationConfig, ParallelConfig, TrainingConfig
from tests.fakes.tiny_run import tiny_run


def config():
    return tiny_run(
        Path(),
        training=TrainingConfig(max_steps=4, learning_rate=1e-3, minibatches=2, microbatch_tokens=128),
        parallel=ParallelConfig(data=2, fsdp=-1, heartbeat_seconds=10),
        evaluation=EvaluationConfig(every_steps=2, max_problems=2, samples_per_problem=2, temperature=0.7),
    )
"""

UNREPEATABLE = ("time/", "throughput/", "memory/", "reward_workers/")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    tiny_run(folder)
    (folder / "config.py").write_text(CONFIG)
    return folder


def start(
    folder: Path, name: str, processes: int, devices: int, *words: str, hosts: Sequence[NetworkHost] = ()
) -> list[subprocess.Popen[str]]:
    """`grpo-jax train` in so many connected processes with so many devices each, one a host where there are hosts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    address = hosts[0].address if hosts else "127.0.0.1"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": xla_flags(devices),
    }
    if processes > 1:
        environment |= {"JAX_COORDINATOR_ADDRESS": f"{address}:{port}", "JAX_NUM_PROCESSES": str(processes)}
    return [
        subprocess.Popen(
            [
                *(hosts[index].command if hosts else ()),
                *(sys.executable, "-m", "grpo_jax", "train", "config.py", f"exp_name={name}", *words),
            ],
            cwd=folder,
            env=environment | {"JAX_PROCESS_ID": str(index)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for index in range(processes)
    ]


def finish(run: list[subprocess.Popen[str]]) -> list[str]:
    shown = [process.communicate(timeout=PATIENCE_SECONDS)[0] for process in run]
    assert [process.returncode for process in run] == [0] * len(run), "\n".join(shown)
    return shown


def figures(run: Path) -> list[dict[str, float]]:
    rows = read_metrics(run / "metrics.jsonl")
    return [{name: row[name] for name in row if not name.startswith(UNREPEATABLE)} for row in rows]


def assert_same_figures(found: Path, expected: Path) -> None:
    assert [[*row] for row in figures(found)] == [[*row] for row in figures(expected)]
    for row, wanted in zip(figures(found), figures(expected), strict=True):
        assert row == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def wait_for_lines(folder: Path, run: list[subprocess.Popen[str]], number: int) -> None:
    log, deadline = folder / "metrics.jsonl", time.monotonic() + PATIENCE_SECONDS
    while not (log.exists() and len(read_metrics(log)) >= number):
        assert all(process.poll() is None for process in run), [process.communicate()[0] for process in run]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def single(folder: Path) -> Path:
    finish(start(folder, "single", 1, 4))
    return folder / "out" / "single"


def test_two_processes_of_two_devices_equal_one_of_four(folder: Path, single: Path) -> None:
    shown = finish(start(folder, "double", 2, 2))
    run = folder / "out" / "double"
    assert_same_figures(run, single)
    assert "final model:" in shown[0]
    assert "final model:" not in shown[1]
    assert "step 1/4" not in shown[1]
    assert {path.name for path in run.glob("log*.txt")} == {"log.txt", "log-1.txt"}
    # Each host writes the completions that it scored; together they are the single run's.
    texts = {
        name: sorted(
            line for path in (out / "completions").glob("step-000002*.jsonl") for line in path.read_text().splitlines()
        )
        for name, out in (("double", run), ("single", single))
    }
    assert len([*(run / "completions").glob("step-000002*.jsonl")]) == 2
    assert len(texts["double"]) == len(texts["single"]) == 16


def test_a_lost_process_ends_the_others_and_another_number_of_them_resumes(folder: Path, single: Path) -> None:
    run = start(folder, "lost", 2, 2)
    wait_for_lines(folder / "out" / "lost", run, 3)
    os.killpg(run[1].pid, signal.SIGKILL)
    shown, _ = run[0].communicate(timeout=60)
    run[1].communicate()
    assert run[0].returncode == 1, shown
    assert "another process of this run has ended" in shown
    assert "Traceback" not in shown
    finish(start(folder, "lost", 4, 1))
    assert_same_figures(folder / "out" / "lost", single)


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "devices"), [(2, 2), (4, 1)])
def test_hosts_on_a_network_equal_one_process(folder: Path, single: Path, processes: int, devices: int) -> None:
    if reason := no_network_hosts():
        pytest.skip(reason)
    with network_hosts(processes) as hosts:
        finish(start(folder, f"network{processes}", processes, devices, hosts=hosts))
    assert_same_figures(folder / "out" / f"network{processes}", single)


@pytest.mark.slow
def test_hosts_that_a_cut_cable_parts_say_so_in_their_logs_and_the_run_goes_on(folder: Path, single: Path) -> None:
    if reason := no_network_hosts():
        pytest.skip(reason)
    run = folder / "out" / "cut"
    with network_hosts(2) as hosts:
        processes = start(folder, "cut", 2, 2, hosts=hosts)
        wait_for_lines(run, processes, 2)
        hosts[1].unplug()
        shown = [process.communicate(timeout=PATIENCE_SECONDS)[0] for process in processes]
    assert [process.returncode for process in processes] == [1, 1], "\n".join(shown)
    host = os.uname().nodename
    for index, (log, line) in enumerate(
        [("log.txt", f"nothing was heard of process 1 on {host} for 10 s"), ("log-1.txt", f"process 0 on {host}, the")]
    ):
        assert f"error: process {index} on {host}: {line}" in " ".join(shown[index].split())
        assert f"error: process {index} on {host}: {line}" in (run / log).read_text()
        assert "JAX distributed service detected fatal errors" not in shown[index]
    finish(start(folder, "cut", 2, 2))
    assert_same_figures(run, single)
