# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How processes find each other, exchange values and part: real processes, connected on this machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.processes import any_process, exchange, is_main, join_processes
from grpo_jax.records import ConfigError
from tests.fakes.network_hosts import network_hosts, no_network_hosts

ROOT = Path(__file__).resolve().parents[2]

EXCHANGE = """
import jax
from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.processes import any_process, exchange, is_main, join_processes, wait_for_all

join_processes(ParallelConfig())
index = jax.process_index()
for length in (0, 5, 100_000):
    found = exchange({"from": index, "text": "ä" * length * (index + 1)})
    assert [value["from"] for value in found] == [0, 1, 2], found
    assert [len(value["text"]) for value in found] == [length, 2 * length, 3 * length]
assert any_process(index == 2)
assert not any_process(False)
assert is_main() == (index == 0)
wait_for_all("end")
print("exchanged", jax.process_count(), jax.device_count())
"""

LATE = """
from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.processes import join_processes
from grpo_jax.records import ConfigError

try:
    join_processes(ParallelConfig(coordinator="127.0.0.1:{port}", hosts=2, host_index=1, start_seconds=2))
except ConfigError as error:
    print(error)
"""


UNPLUGGED = """
import sys
from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.processes import LostProcessError, exchange, join_processes, leave, naming_lost_processes

join_processes(ParallelConfig(heartbeat_seconds=10))
try:
    with naming_lost_processes():
        while True:
            assert exchange("here") == ["here", "here"]
            print("exchanged", flush=True)
except LostProcessError as error:
    print(error, flush=True)
    leave(1)
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(code: str, *before: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_values_of_any_size_reach_every_process():
    port = free_port()
    started = [
        start(
            EXCHANGE,
            JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{port}",
            JAX_NUM_PROCESSES="3",
            JAX_PROCESS_ID=str(index),
        )
        for index in range(3)
    ]
    for process in started:
        shown, _ = process.communicate(timeout=180)
        assert process.returncode == 0, shown
        assert "exchanged 3 3" in shown


@pytest.mark.slow
def test_a_host_that_falls_silent_ends_the_other_with_a_clear_line():
    if reason := no_network_hosts():
        pytest.skip(reason)
    with network_hosts(2) as hosts:
        started = [
            start(
                UNPLUGGED,
                *host.command,
                JAX_COORDINATOR_ADDRESS=f"{hosts[0].address}:9876",
                JAX_NUM_PROCESSES="2",
                JAX_PROCESS_ID=str(index),
            )
            for index, host in enumerate(hosts)
        ]
        try:
            for process in started:
                assert process.stdout is not None
                shown = [process.stdout.readline()]
                while shown[-1] and shown[-1] != "exchanged\n":
                    shown.append(process.stdout.readline())
                assert shown[-1], shown
            hosts[1].unplug()
            shown, _ = started[0].communicate(timeout=200)
        finally:
            for process in started:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
    last = "\n".join(line for line in shown.splitlines() if line != "exchanged")
    assert started[0].returncode != 0
    # The collective's own timeout gives our line, a heartbeat's JAX's; whichever comes first ends the process.
    assert "another process of this run has ended" in last or "another task died" in last, last


def test_a_coordinator_that_never_comes_is_named():
    port = free_port()
    shown, _ = start(LATE.format(port=port)).communicate(timeout=120)
    # JAX ends the process itself where the connection is refused until the deadline.
    assert f"127.0.0.1:{port}" in shown or "DEADLINE_EXCEEDED" in shown


def test_a_process_alone_exchanges_with_itself():
    join_processes(ParallelConfig(), environment={})
    assert exchange([1, "two"]) == [[1, "two"]]
    assert (any_process(True), any_process(False), is_main()) == (True, False, True)


@pytest.mark.parametrize(
    ("settings", "environment", "message"),
    [
        (ParallelConfig(hosts=2), {}, "parallel.hosts=2, but nothing says where the others are"),
        (ParallelConfig(coordinator="a:1"), {}, "parallel.coordinator needs parallel.hosts and parallel.host_index"),
        (ParallelConfig(coordinator="a:1", hosts=2), {}, "parallel.host_index"),
        (ParallelConfig(), {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_PROCESS_ID": "x"}, "JAX_PROCESS_ID='x'"),
    ],
)
def test_settings_that_connect_nobody_are_refused(settings, environment, message):
    with pytest.raises(ConfigError, match=message):
        join_processes(settings, environment)


def test_never_stays_alone_whatever_the_environment_says():
    join_processes(ParallelConfig(distributed="never"), {"JAX_COORDINATOR_ADDRESS": "a:1", "SLURM_NTASKS": "4"})
    assert is_main()
