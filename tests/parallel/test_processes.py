# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How processes find each other, exchange values and part: real processes, connected on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from grpo_jax.parallel.silence import watching_processes

settings = ParallelConfig(heartbeat_seconds=10)
join_processes(settings)
index = jax.process_index()
with watching_processes(settings):
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


TALKING = """
import signal
import time
from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.processes import LostProcessError, exchange, join_processes, leave, naming_lost_processes
from grpo_jax.parallel.silence import watching_processes


def fail(number, frame):
    raise ValueError("a fault")


settings = ParallelConfig(heartbeat_seconds=10)
signal.signal(signal.SIGUSR1, fail)
join_processes(settings)
try:
    with watching_processes(settings), naming_lost_processes():
        while True:
            assert set(exchange("here")) == {"here"}
            print("exchanged", flush=True)
            time.sleep(0.05)
except (LostProcessError, ValueError) as error:
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
        assert "error" not in shown


@contextmanager
def talking(address: str, befores: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that exchange values without end, each started by the words before its command; killed at last."""
    started = [
        start(
            TALKING,
            *before,
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES=str(len(befores)),
            JAX_PROCESS_ID=str(index),
        )
        for index, before in enumerate(befores)
    ]
    try:
        for process in started:
            read_until_exchanged(process)
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def read_until_exchanged(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    shown = [process.stdout.readline()]
    while shown[-1] and shown[-1] != "exchanged\n":
        shown.append(process.stdout.readline())
    assert shown[-1], shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cut", "unheard"),
    [(2, {0: [2], 1: [2]}), (0, {0: [1, 2]})],
    ids=["one that uses the store", "the one that keeps it"],
)
def test_hosts_that_a_cut_cable_parts_name_each_other_and_end(cut: int, unheard: dict[int, list[int]]):
    if reason := no_network_hosts():
        pytest.skip(reason)
    with network_hosts(3) as hosts:
        address = f"{hosts[0].address}:9876"
        with talking(address, [host.command for host in hosts]) as started:
            time.sleep(2)  # in which each hears the others' names
            hosts[cut].unplug()
            shown = [process.communicate(timeout=200)[0] for process in started]
    assert [process.returncode for process in started] == [1, 1, 1], shown
    for index, text in enumerate(shown):
        # The first line that is no exchange: ours comes before whatever the broken connections and JAX have to say.
        line = next(line for line in text.splitlines() if line != "exchanged")
        assert line.startswith(f"error: process {index} on "), line
        names = [f"process {other} on {os.uname().nodename}" for other in unheard.get(index, [0])]
        if index in unheard:
            assert f"nothing was heard of {' and '.join(names)} for 10 s" in line
        else:
            assert f"{names[0]}, the coordinator at {address}, could not be reached for 10 s" in line
        assert "the run goes on from its last checkpoint" in line
        assert "JAX distributed service detected fatal errors" not in text


@pytest.mark.slow
def test_processes_that_were_stopped_for_a_while_go_on():
    with talking(f"127.0.0.1:{free_port()}", [[], []]) as started:
        # One for less than the limit, whichever keeps the store; both, as where a machine is frozen, for more.
        for stopped, seconds in (([1], 7), ([0], 7), ([0, 1], 12)):
            for index in stopped:
                started[index].send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            for index in stopped:
                started[index].send_signal(signal.SIGCONT)
            time.sleep(2)
        assert [process.poll() for process in started] == [None, None]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # so that neither sees the other's end
            for process in started:
                process.send_signal(number)
        for process in started:
            assert process.stdout is not None
            assert set(process.stdout) == {"exchanged\n"}


@pytest.mark.slow
def test_an_error_in_the_process_that_keeps_the_store_is_told_by_the_other():
    with talking(f"127.0.0.1:{free_port()}", [[], []]) as started:
        time.sleep(2)
        started[0].send_signal(signal.SIGUSR1)
        shown = [process.communicate(timeout=200)[0] for process in started]
    assert [process.returncode for process in started] == [1, 1], shown
    assert shown[0].splitlines()[-1] == "a fault"
    assert f"process 0 on {os.uname().nodename} stopped with an error; look at its log" in shown[1]


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
        (ParallelConfig(coordinator="a:1", heartbeat_seconds=0), {}, "parallel.heartbeat_seconds=0 must be 1 or more"),
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
