# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The table at the end of a run."""

import io

from rich.console import Console

from grpo_jax.tracking.summary import first_and_last_fifth, print_summary


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
