# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Who is named as lost, and who is not: the bookkeeping by an injected clock, the threads with a store in memory."""

import logging
import threading
import time
from collections.abc import Callable

import jax
import pytest

from grpo_jax.parallel.processes import LostProcessError
from grpo_jax.parallel.silence import Silence, Watch

LIMIT = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Run:
    """Process 0 of three, as it looks on: its clock, the others' beats, and whether the store answers."""

    def __init__(self, index: int = 0) -> None:
        self.clock = Clock()
        self.silence = Silence(index, 3, LIMIT, "10.0.0.1:99", self.clock)
        self.beats = {other: f"1 process {other} on host-{other}" for other in range(3)}
        self.numbers = 1

    def pass_seconds(self, seconds: float, alive: tuple[int, ...] = (0, 1, 2), reached: bool = True) -> str | None:
        """The first verdict within a time in which only some processes beat."""
        for _ in range(round(seconds / self.silence.period_seconds)):
            self.numbers += 1
            self.clock.now += self.silence.period_seconds
            self.beats |= {other: f"{self.numbers} process {other} on host-{other}" for other in alive}
            if reached:
                self.silence.heard(self.beats)
            if line := self.silence.verdict():
                return line
        return None

    def say(self, other: int, word: str) -> None:
        self.beats[other] = f"{word} process {other} on host-{other}"


def test_a_silent_process_is_named_with_its_host_once_the_limit_is_over():
    run = Run()
    assert run.pass_seconds(100) is None
    assert run.pass_seconds(LIMIT - 1, alive=(0, 1)) is None
    line = run.pass_seconds(2, alive=(0, 1))
    assert line is not None
    assert "\n" not in line
    assert "nothing was heard of process 2 on host-2 for 20 s (parallel.heartbeat_seconds)" in line
    assert "process 1" not in line
    assert "the run goes on from its last checkpoint" in line


def test_a_process_that_was_never_heard_of_is_named_too():
    run = Run()
    del run.beats[1]
    line = run.pass_seconds(LIMIT + 1, alive=(0, 2))
    assert line is not None
    assert "nothing was heard of process 1 for 20 s" in line


def test_several_silent_processes_are_named_together():
    line = Run().pass_seconds(LIMIT + 1, alive=(0,))
    assert line is not None
    assert "process 1 on host-1 and process 2 on host-2" in line


def test_one_beat_in_time_begins_the_count_again():
    run = Run()
    for _ in range(5):
        assert run.pass_seconds(LIMIT - 2, alive=(0, 1)) is None
        assert run.pass_seconds(1) is None


def test_a_process_that_reached_the_end_is_never_missed():
    run = Run()
    run.say(1, "done")
    assert run.pass_seconds(5 * LIMIT, alive=(0, 2)) is None
    run.say(2, "done")
    assert run.pass_seconds(5 * LIMIT, alive=(0,)) is None


def test_an_error_elsewhere_is_told_long_before_the_limit_but_not_at_once():
    run = Run()
    run.say(2, "failed")
    assert run.pass_seconds(run.silence.period_seconds, alive=(0, 1)) is None
    line = run.pass_seconds(4 * run.silence.period_seconds, alive=(0, 1))
    assert line is not None
    assert "process 2 on host-2 stopped with an error; look at its log" in line


def test_a_process_that_leaves_because_of_another_is_not_to_blame():
    run = Run()
    assert run.pass_seconds(LIMIT - 2, alive=(0, 1)) is None
    run.say(1, "left")
    line = run.pass_seconds(LIMIT, alive=(0,))
    assert line is not None
    assert "nothing was heard of process 2 on host-2 for 20 s" in line
    assert "process 1" not in line


def test_a_process_that_left_says_why_where_nobody_else_is_known_to_be_lost():
    run = Run(index=1)
    run.say(0, "left")
    assert run.pass_seconds(3 * run.silence.period_seconds, alive=(1, 2)) is None
    assert not run.silence.all_over()
    line = run.pass_seconds(3 * run.silence.period_seconds, alive=(1, 2))
    assert line is not None
    assert "process 0 on host-0 ended because of the loss of another process; look at its log" in line
    run.say(2, "left")
    run.pass_seconds(1, alive=(1,))
    assert run.silence.all_over()


@pytest.mark.parametrize(
    ("word", "reason"), [("failed", "stopped with an error"), ("left", "ended because of the loss of another process")]
)
def test_a_process_with_an_error_of_its_own_has_the_whole_limit_to_close(word: str, reason: str):
    run = Run(index=1)
    run.silence.failing = True
    run.say(0, word)
    run.say(2, "failed")
    assert run.pass_seconds(LIMIT / 4, alive=(1,)) is None
    assert run.pass_seconds(LIMIT / 2, alive=(1,), reached=False) is None
    line = run.pass_seconds(LIMIT, alive=(1,), reached=False)
    assert line is not None
    assert "stopped with an error" in line
    assert "process 2 on host-2" in line
    run.say(2, "done")
    line = run.pass_seconds(LIMIT, alive=(1,))
    assert line is not None
    assert f"process 0 on host-0 {reason}" in line


def test_a_process_with_an_error_of_its_own_still_misses_a_silent_one():
    run = Run()
    run.silence.failing = True
    assert run.pass_seconds(LIMIT - 1, alive=(0, 1)) is None
    line = run.pass_seconds(2, alive=(0, 1))
    assert line is not None
    assert "nothing was heard of process 2 on host-2" in line


def test_a_coordinator_out_of_reach_is_named_with_its_address_and_no_other_process_is():
    run = Run(index=1)
    assert run.pass_seconds(LIMIT) is None
    assert run.pass_seconds(LIMIT - 1, reached=False) is None
    line = run.pass_seconds(2, reached=False)
    assert line is not None
    assert "process 0 on host-0, the coordinator at 10.0.0.1:99, could not be reached for 20 s" in line
    assert "process 2" not in line


def test_a_coordinator_that_is_away_for_a_while_costs_nothing():
    run = Run(index=1)
    for _ in range(5):
        assert run.pass_seconds(LIMIT - 2, reached=False) is None
        assert run.pass_seconds(1) is None


def test_a_coordinator_that_ended_well_is_not_missed():
    run = Run(index=1)
    run.say(0, "done")
    assert run.pass_seconds(1, alive=(1, 2)) is None
    assert run.pass_seconds(5 * LIMIT, reached=False) is None


@pytest.mark.parametrize("jump", [1e9, -1e9, 3 * LIMIT])
def test_neither_a_jump_of_the_clock_nor_a_pause_of_this_process_is_silence(jump: float):
    run = Run()
    assert run.pass_seconds(LIMIT) is None
    run.clock.now += jump
    # Others that were paused with it have not beaten since either.
    assert run.silence.verdict() is None
    assert run.pass_seconds(LIMIT / 2, alive=(0,)) is None
    assert run.pass_seconds(5 * LIMIT) is None


class MemoryStore:
    """What processes in threads share; cut off, its calls last until the cable is back."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.reached = threading.Event()
        self.reached.set()
        self.refuses = False

    def key_value_set(self, key: str, value: str, allow_overwrite: bool = False) -> None:
        self._answer()
        assert allow_overwrite
        self.values[key] = value

    def key_value_dir_get(self, key: str) -> list[tuple[str, str]]:
        self._answer()
        return [item for item in [*self.values.items()] if item[0].startswith(f"{key}/")]

    def _answer(self) -> None:
        self.reached.wait()
        if self.refuses:
            raise jax.errors.JaxRuntimeError("UNAVAILABLE: failed to connect\nat length")


class Process:
    """A watch in this process, with where its exit code goes."""

    def __init__(self, store: MemoryStore, index: int, limit_seconds: float = 1.0, number: int = 1) -> None:
        self.left: list[int] = []
        silence = Silence(index, 2, limit_seconds, "10.0.0.1:99")
        self.watch = Watch(store, index, f"process {index} on host-{index}", silence, self.left.append, number)


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_processes_that_beat_leave_each_other_alone_and_may_end_at_different_times(caplog: pytest.LogCaptureFixture):
    store = MemoryStore()
    first, second = Process(store, 0, 2.0), Process(store, 1, 2.0)
    second.watch.close()
    assert store.values["grpo_jax/watch-1/beats/1"] == "done process 1 on host-1"
    # More beats than the limit holds, whatever this machine is busy with.
    eventually(lambda: int(store.values["grpo_jax/watch-1/beats/0"].split()[0]) > 30)
    first.watch.close()
    assert store.values["grpo_jax/watch-1/beats/0"] == "done process 0 on host-0"
    assert (first.left, second.left, caplog.records) == ([], [], [])


def test_a_silent_process_ends_the_other_with_one_line_in_the_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR, "grpo_jax"):
        alone = Process(MemoryStore(), 0)
        eventually(lambda: alone.left)
        alone.watch.close()
    assert alone.left == [1]
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "error: process 0 on host-0: nothing was heard of process 1 for 1 s"
    ]


@pytest.mark.parametrize("refuses", [False, True])
def test_a_store_whose_calls_last_or_fail_ends_the_process(caplog: pytest.LogCaptureFixture, refuses: bool):
    store = MemoryStore()
    with caplog.at_level(logging.ERROR, "grpo_jax"):
        process = Process(store, 1)
        eventually(lambda: "grpo_jax/watch-1/beats/1" in store.values)
        store.refuses = refuses
        if not refuses:
            store.reached.clear()
        eventually(lambda: process.left)
    store.reached.set()
    process.watch.close(LostProcessError())
    assert process.left == [1]
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "error: process 1 on host-1: process 0, the coordinator at 10.0.0.1:99, could not be reached for 1 s"
    ]


def test_an_error_ends_the_others_by_the_name_of_who_had_it(caplog: pytest.LogCaptureFixture):
    store = MemoryStore()
    with caplog.at_level(logging.ERROR, "grpo_jax"):
        first, second = Process(store, 0), Process(store, 1)
        eventually(lambda: len(store.values) == 2)
        first.watch.close(ValueError("a fault"))
        eventually(lambda: second.left)
        second.watch.close(ValueError("the same"))
    assert (first.left, second.left) == ([], [1])
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "error: process 1 on host-1: process 0 on host-0 stopped with an error"
    ]


def test_an_error_that_both_have_ends_each_by_its_own_however_long_one_takes_to_close(
    caplog: pytest.LogCaptureFixture,
):
    store, closed = MemoryStore(), threading.Event()
    with caplog.at_level(logging.ERROR, "grpo_jax"):
        # The limit is long for a busy machine, its twentieth short.
        first, second = Process(store, 0, 8.0), Process(store, 1, 8.0)
        eventually(lambda: len(store.values) == 2)
        with pytest.raises(ValueError, match="theirs"), second.watch.noting_errors():
            raise ValueError("theirs")
        eventually(lambda: store.values["grpo_jax/watch-1/beats/1"].startswith("ending"))

        def close_first() -> None:
            first.watch.close(ValueError("theirs"))
            closed.set()

        threading.Thread(target=close_first).start()
        eventually(lambda: store.values["grpo_jax/watch-1/beats/0"].startswith("failed"))
        assert not closed.wait(5 * 8.0 / 20)
        assert store.values["grpo_jax/watch-1/beats/1"].startswith("ending")
        second.watch.close(ValueError("theirs"))
        assert closed.wait(60)
    assert (first.left, second.left, caplog.records) == ([], [], [])


def test_the_keeper_of_the_store_that_lost_a_process_stays_until_the_other_has_read_it(
    caplog: pytest.LogCaptureFixture,
):
    store = MemoryStore()
    with caplog.at_level(logging.ERROR, "grpo_jax"):
        first, second = Process(store, 0, 10.0), Process(store, 1, 10.0)
        eventually(lambda: len(store.values) == 2)
        first.watch.close(LostProcessError())
        assert store.values["grpo_jax/watch-1/beats/1"].startswith("left")
        eventually(lambda: second.left)
        second.watch.close()
    assert (first.left, second.left) == ([], [1])
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "error: process 1 on host-1: process 0 on host-0 ended because of the loss of another process"
    ]


@pytest.mark.parametrize(("number", "heard"), [(1, True), (2, False)])
def test_the_last_words_of_an_earlier_watch_are_not_heard(number: int, heard: bool):
    store = MemoryStore()
    Process(store, 1, 60.0, number=1).watch.close(ValueError("a fault"))
    silence = Silence(0, 2, 60.0)
    Watch(store, 0, "process 0 on host-0", silence, number=number).close()
    assert f"grpo_jax/watch-{number}/beats/0" in store.values
    assert silence.all_over() == heard
