# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A wish to stop, and what happens when the time it leaves is up."""

import logging
import os
import queue
import signal
import threading

import pytest

from grpo_jax.training.stop_signal import OUT_OF_TIME, Stop, stop_requests

PATIENCE_SECONDS = 60


@pytest.fixture
def left() -> queue.Queue[int]:
    """Gets the exit code in place of the process's end."""
    return queue.Queue()


def test_sigterm_is_a_wish_and_the_former_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_requests(PATIENCE_SECONDS) as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop
        assert stop.reason == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_step_that_does_not_end_in_time_is_given_up_with_a_code_and_a_line(left, caplog, capsys) -> None:
    stop = Stop(0.05, left.put)
    with caplog.at_level(logging.WARNING, logger="grpo_jax"):
        stop.ask("SIGTERM")
        assert left.get(timeout=PATIENCE_SECONDS) == OUT_OF_TIME
    line = "SIGTERM asked to stop and the step did not end within checkpoint.grace_seconds=0.05; leaving without it"
    assert line in caplog.text
    assert line in capsys.readouterr().err


def test_out_of_time_after_the_save_is_a_good_end(left) -> None:
    stop = Stop(0.05, left.put)
    stop.saved = True
    stop.ask("SIGTERM")
    assert left.get(timeout=PATIENCE_SECONDS) == 0


def test_a_run_that_ends_in_time_is_left_alone(left) -> None:
    stop = Stop(PATIENCE_SECONDS, left.put)
    stop.ask("a notice")
    stop.ask("SIGTERM")
    assert stop.reason == "a notice"
    stop.over()
    stop._watch.join(PATIENCE_SECONDS)
    assert not stop._watch.is_alive()
    assert left.empty()


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with stop_requests(PATIENCE_SECONDS) as stop:
            seen.append((bool(stop), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert seen == [(False, before)]
