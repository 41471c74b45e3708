# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Progress with and without a terminal."""

import io

import pytest
from rich.console import Console

from grpo_jax.tracking.progress import Outline, Progress, format_seconds

METRICS = {"reward/mean": 0.5, "kl/mean": 0.01, "throughput/sampled_tokens_per_second": 1234.5}


def plain_console():
    return Console(file=io.StringIO(), force_terminal=False, width=60)


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=110, height=40)


def test_without_a_terminal_each_step_is_one_plain_line():
    console = plain_console()
    with Progress(Outline("run", 3), console=console) as progress:
        for step in (1, 2, 3):
            progress.update(step, METRICS)
    lines = console.file.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 1/3", "step 2/3", "step 3/3"]
    assert lines[0].split("  ")[1:4] == ["reward 0.500", "kl 0.0100", "1,234 tokens/s"]
    assert lines[2].endswith("0s left")
    assert "\x1b" not in console.file.getvalue()


def test_lines_come_every_so_many_steps_with_the_first_and_last():
    console = plain_console()
    with Progress(Outline("run", 11, first_step=3, every_steps=4), console=console) as progress:
        for step in range(3, 12):
            progress.update(step, {})
    shown = [line.split("/")[0] for line in console.file.getvalue().splitlines()]
    assert shown == ["step 3", "step 4", "step 8", "step 11"]


def test_note_is_printed_as_it_is():
    console = plain_console()
    with Progress(Outline("run", 3), console=console) as progress:
        progress.note("[bold] resumed from checkpoints/2, " + "x" * 80)
    assert console.file.getvalue() == "[bold] resumed from checkpoints/2, " + "x" * 80 + "\n"


@pytest.mark.parametrize("console", [plain_console(), terminal()], ids=["plain", "terminal"])
def test_quiet_run_shows_nothing(console):
    with Progress(Outline("run", 3, every_steps=0), console=console) as progress:
        progress.note("evaluation")
        progress.update(1, METRICS)
    assert console.file.getvalue() == ""


def test_terminal_shows_one_panel_with_all_that_matters():
    console = terminal()
    outline = Outline("my [run]", 40, first_step=3, checkpoint_steps=10, phases=("format", "accuracy"))
    workers = {"workers_alive": 8.0, "workers_busy": 3.0, "tasks_waiting": 12.0}
    domain = {"reward/math/mean": 0.25, "kl/math": 0.02, "length/math/mean": 99.0, "length/math/truncated": 0.5}
    with Progress(outline, lambda: workers, console) as progress:
        progress.stage("sampling")
        progress.update(3, {**METRICS, **domain, "curriculum/phase": 1.0})
        progress.update(4, {**METRICS, **domain, "reward/math/mean": 0.75, "curriculum/phase": 1.0})
        progress.warn("the [reward] is flat; try more")
    shown = console.file.getvalue()
    for wanted in (
        "my [run]",
        "step 4/40",
        "sampling",
        "reward 0.500",
        "1,234 tokens/s",
        "phase accuracy (2 of 2)",
        "workers 3 of 8 busy, 12 waiting",
        "next checkpoint at step 10",
        " left",
        "! the [reward] is flat; try more",
    ):
        assert wanted in shown
    (row,) = {line for line in shown.split("\n") if "math" in line and "0.750" in line}
    assert row.strip(" │\r").split()[-6:] == ["math", "0.750", "+0.500", "0.0200", "99", "50%"]


def test_last_panel_says_how_the_run_ended():
    for last, word in ((3, "finished"), (2, "stopped")):
        console = terminal()
        with Progress(Outline("run", 3), console=console) as progress:
            progress.update(last, METRICS)
        assert word in console.file.getvalue().split("step")[-1]


def test_next_checkpoint_is_never_after_the_end():
    console = terminal()
    with Progress(Outline("run", 5, checkpoint_steps=50), console=console) as progress:
        progress.update(1, METRICS)
    assert "next checkpoint at step 5" in console.file.getvalue()
    assert "step 50" not in console.file.getvalue()


def test_time_left_follows_the_last_steps(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("grpo_jax.tracking.progress.time.monotonic", lambda: now[0])
    with Progress(Outline("run", 130), console=plain_console()) as progress:
        assert progress.seconds_left() is None
        now[0] = 1000.0  # the first step compiles
        progress.update(1, {})
        assert progress.seconds_left() == 129_000
        for step in range(2, 31):
            now[0] += 2
            progress.update(step, {})
        assert progress.seconds_left() == 200


def test_error_inside_passes_through():
    with pytest.raises(RuntimeError, match="lost"), Progress(Outline("run", 3), console=plain_console()):
        raise RuntimeError("lost")


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0s"), (59.4, "59s"), (185, "3m05s"), (7640, "2h07m")])
def test_durations_are_short(seconds, shown):
    assert format_seconds(seconds) == shown
