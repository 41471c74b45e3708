# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Progress with and without a terminal, the summary, and the log."""

import io
import logging

import pytest
from rich.console import Console

from grpo_jax.tracking.log import close_logging, set_up_logging
from grpo_jax.tracking.progress import Progress, first_and_last_fifth, format_seconds, print_summary

METRICS = {"reward/mean": 0.5, "kl/mean": 0.01, "throughput/sampled_tokens_per_second": 1234.5}


def plain_console():
    return Console(file=io.StringIO(), force_terminal=False, width=60)


def test_without_a_terminal_each_step_is_one_plain_line():
    console = plain_console()
    with Progress(3, 1, 1, console) as progress:
        for step in (1, 2, 3):
            progress.update(step, METRICS)
    lines = console.file.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 1/3", "step 2/3", "step 3/3"]
    assert lines[0].split("  ")[1:4] == ["reward 0.500", "kl 0.0100", "1,234 tokens/s"]
    assert lines[2].endswith("0s left")
    assert "\x1b" not in console.file.getvalue()


def test_lines_come_every_so_many_steps_with_the_first_and_last():
    console = plain_console()
    with Progress(11, 3, 4, console) as progress:
        for step in range(3, 12):
            progress.update(step, {})
    shown = [line.split("/")[0] for line in console.file.getvalue().splitlines()]
    assert shown == ["step 3", "step 4", "step 8", "step 11"]


def test_note_is_printed_as_it_is():
    console = plain_console()
    with Progress(3, 1, 1, console) as progress:
        progress.note("[bold] resumed from checkpoints/2, " + "x" * 80)
    assert console.file.getvalue() == "[bold] resumed from checkpoints/2, " + "x" * 80 + "\n"


def test_terminal_shows_a_live_bar_with_the_figures():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Progress(3, 1, 1, console) as progress:
        progress.update(2, METRICS)
    assert "2/3" in console.file.getvalue()
    assert "reward 0.500" in console.file.getvalue()


def test_error_inside_passes_through():
    with pytest.raises(RuntimeError, match="lost"), Progress(3, 1, 1, plain_console()):
        raise RuntimeError("lost")


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0s"), (59.4, "59s"), (185, "3m05s"), (7640, "2h07m")])
def test_durations_are_short(seconds, shown):
    assert format_seconds(seconds) == shown


def test_fifths_are_means_of_the_ends():
    rows = [{"step": step, "x": float(step)} for step in range(1, 11)]
    assert first_and_last_fifth(rows, "x") == (1.5, 9.5)
    assert first_and_last_fifth(rows[:3], "x") == (1.0, 3.0)
    assert first_and_last_fifth(rows, "absent") is None


def test_summary_lists_each_metric_once_with_its_change():
    console = Console(file=io.StringIO(), width=100)
    print_summary(
        [{"step": 1, "reward/mean": 0.25, "reward/math/mean": 0.5}, {"step": 2, "reward/mean": 0.75}], console
    )
    shown = console.file.getvalue()
    assert shown.count("reward/mean") == 1
    assert "+0.5" in shown
    assert "reward/math/mean" in shown


def test_log_goes_to_the_file_with_times_and_to_the_console_without(tmp_path, capsys):
    path = tmp_path / "run" / "log.txt"
    root = logging.StreamHandler()  # as libraries add one
    logging.getLogger().addHandler(root)
    try:
        set_up_logging(path)
        set_up_logging(path)
        logging.getLogger("grpo_jax.data").info("7 rows left out")
    finally:
        close_logging()
        logging.getLogger().removeHandler(root)
    assert capsys.readouterr().err == "7 rows left out\n"
    (line,) = path.read_text().splitlines()
    assert line.endswith("INFO grpo_jax.data: 7 rows left out")
