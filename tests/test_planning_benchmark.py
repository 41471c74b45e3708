# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import json

from benchmarks.planning_validation import main


def test_every_figure_is_measured_on_problems_whose_plans_are_right(capsys):
    main(["--problems", "2", "--oracle-problems", "0", "--seconds", "0.01"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["problems"] == 10
    assert all(figures[name] > 0 for name in ("steps_per_plan", "first_per_second", "judged_per_second"))
