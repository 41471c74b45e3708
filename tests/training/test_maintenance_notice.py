# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Notices of a metadata server, a real one on this machine."""

import logging
import queue
import time
from collections.abc import Callable

import pytest

from grpo_jax.training.maintenance_notice import ADDRESS_VARIABLE, maintenance_notices, metadata_address
from tests.fakes.metadata_server import metadata_server

PATIENCE_SECONDS = 60
POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)


@pytest.mark.parametrize(
    ("name", "value"), [("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE"), ("preempted", "TRUE")]
)
def test_a_notice_is_told_once_when_it_comes_and_a_living_move_is_none(name, value) -> None:
    told: queue.Queue[str] = queue.Queue()
    with metadata_server() as server:
        server.values["maintenance-event"] = "MIGRATE_ON_HOST_MAINTENANCE"
        with maintenance_notices(server.address, told.put, POLL_SECONDS):
            wait_until(lambda: len(server.asked) >= 6)
            assert told.empty()
            server.values[name] = value
            assert told.get(timeout=PATIENCE_SECONDS) == f"the notice {name}={value}"
        assert told.empty()


def test_a_host_without_one_of_the_values_is_watched_for_the_other() -> None:
    told: queue.Queue[str] = queue.Queue()
    with metadata_server() as server:
        del server.values["maintenance-event"]
        server.values["preempted"] = "TRUE"
        with maintenance_notices(server.address, told.put, POLL_SECONDS):
            assert told.get(timeout=PATIENCE_SECONDS) == "the notice preempted=TRUE"


def test_a_silent_server_is_said_once_and_asked_again(caplog) -> None:
    with metadata_server() as server:
        address = server.address
    with caplog.at_level(logging.WARNING, logger="grpo_jax"), maintenance_notices(address, print, POLL_SECONDS):
        wait_until(lambda: bool(caplog.records))
        time.sleep(10 * POLL_SECONDS)
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        f"the metadata server at {address} does not answer"
    ]


def test_only_hosts_that_have_such_a_server_are_asked() -> None:
    assert metadata_address("cpu", {}) is None
    assert metadata_address("gpu", {}) is None
    assert metadata_address("tpu", {}) == "metadata.google.internal"
    assert metadata_address("gpu", {ADDRESS_VARIABLE: "127.0.0.1:81"}) == "127.0.0.1:81"
    with maintenance_notices(None, print):
        pass
