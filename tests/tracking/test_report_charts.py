# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What is drawn from which metrics: colours, thinning, stacks that add up, drops since the best."""

import numpy as np
import pytest

from grpo_jax.tracking.report_charts import BARS, POINTS, all_charts, evaluation_table, phase_spans
from grpo_jax.tracking.report_series import columns_of, layers, thinned


def run_of(*rows):
    return columns_of([{"step": step, **row} for step, row in enumerate(rows, start=1)])


def chart(runs, title):
    (found,) = [one for one in all_charts(runs) if one.title == title]
    return found


def test_short_series_is_given_as_it_is():
    points = thinned(run_of({"x": 0.5}, {}, {"x": 0.25}), "x", most=5)
    assert points == {"steps": (1.0, 3.0), "values": (0.5, 0.25), "low": None, "high": None}


def test_long_series_keeps_its_mean_its_extremes_and_its_span():
    values = np.random.default_rng(0).normal(size=2_003)
    values[777] = 40.0
    points = thinned(run_of(*({"x": value} for value in values)), "x", most=100)
    assert len(points["steps"]) == len(points["values"]) == 100
    assert max(points["high"]) == 40.0
    assert min(points["low"]) == pytest.approx(values.min(), rel=1e-4)
    assert np.mean(points["values"]) == pytest.approx(values.mean(), abs=0.01)
    assert points["steps"] == tuple(sorted(points["steps"]))
    assert (points["steps"][0], points["steps"][-1]) == pytest.approx((10.5, 1_993), abs=1)


def test_layers_stay_on_top_of_each_other():
    rows = [{"a": share, "b": 1 - share} if number % 3 else {} for number, share in enumerate(np.linspace(0, 1, 500))]
    steps, (a, b) = layers(run_of(*rows), ["a", "b"], most=20)
    assert len(steps) == 20
    np.testing.assert_allclose(np.add(a, b), 1, atol=1e-4)


def test_domain_has_one_colour_in_every_plot_and_the_total_its_own():
    rows = {"reward/mean": 0.5, "reward/b/mean": 0.1, "reward/a/mean": 0.9, "kl/mean": 0.1, "kl/b": 0.2}
    run = {"run": run_of(rows)}
    reward = {one.name: one.colour for one in chart(run, "Reward").series}
    kl = {one.name: one.colour for one in chart(run, "KL to the reference").series}
    assert reward == {"all": 0, "a": 1, "b": 2}
    assert kl == {"all": 0, "b": 2}


def test_mix_shows_target_against_actual():
    found = chart({"run": run_of({"domain_mix_actual/a": 0.4, "domain_mix_target/a": 0.5})}, "Domain mix")
    assert [(one.name, one.dash, one.values) for one in found.series] == [
        ("a actual", 0, (0.4,)),
        ("a target", 1, (0.5,)),
    ]


def test_difficulty_is_a_stack_with_the_targets_as_its_borders():
    row = {"reward/a/mean": 0.0}
    for bucket, share, target in (("easy", 0.5, 0.6), ("medium", 0.25, 0.3), ("hard", 0.25, 0.1)):
        row |= {f"curriculum/a/{bucket}_target": target, f"curriculum/a/{bucket}": share}
    row |= {"curriculum/a/replaced": 3.0, "curriculum/a/easy_solve_rate": 0.5, "curriculum/a/solve_rate": 0.5}
    found = chart({"run": run_of(row)}, "Difficulty of a")
    assert [(one.name, one.line) for one in found.series] == [
        ("easy", False),
        ("medium", False),
        ("hard", False),
        ("easy target", True),
        ("medium target", True),
    ]
    assert [one.values[0] for one in found.series if one.line] == pytest.approx([0.6, 0.9])


def test_time_by_phase_adds_up_to_the_step_and_evaluation_stands_beside_it():
    rows = [{"time/sampling_seconds": 2.0, "time/update_seconds": 1.0, "time/step_seconds": 3.5} for _ in range(4)]
    rows[0]["time/compile_seconds"] = 1.5  # within sampling and update
    rows[3]["time/evaluation_seconds"] = 8.0
    found = chart({"run": run_of(*rows)}, "Time by phase")
    assert {one.name: one.values for one in found.series} == {
        "evaluation": (0.0, 0.0, 0.0, 8.0),
        "sampling": (2.0,) * 4,
        "update": (1.0,) * 4,
        "other": (0.5,) * 4,
    }


def test_evaluation_has_its_confidence_interval():
    rows = [{"eval/a/pass@1": 0.5, "eval/a/pass@1_low": 0.4, "eval/a/pass@1_high": 0.7}, {}]
    (series,) = chart({"run": run_of(*rows)}, "Evaluation").series
    assert (series.low, series.high) == ((0.4,), (0.7,))


def test_drops_are_since_the_best_so_far_and_a_domain_may_miss_an_evaluation():
    rows = [{"eval/a/pass@1": 0.2, "eval/b/pass@1": 0.9}, {}, {"eval/a/pass@1": 0.6}]
    rows.append({"eval/a/pass@1": 0.5, "eval/b/pass@1": 0.4})
    table = evaluation_table("run", run_of(*rows))
    assert table.rows == ("step 1", "step 3", "step 4")
    assert table.values == ((0.2, 0.9), (0.6, None), (0.5, 0.4))
    assert table.drops[1] == (0.0, None)
    assert table.drops[2] == pytest.approx((0.1, 0.5))
    assert evaluation_table("run", run_of(rows[0])) is None


def test_phases_are_spans_of_steps():
    run = run_of(*({"curriculum/phase": float(number)} for number in (0, 0, 1, 1, 1, 2)), {})
    assert phase_spans(run, ["format", ""]) == [(1.0, 2.0, "format"), (3.0, 5.0, "phase 1"), (6.0, 6.0, "phase 2")]


def test_points_stay_few_however_long_the_run_and_however_many_runs():
    row = {"reward/mean": 0.5, "reward_status/a/pass": 1.0, "reward/a/mean": 0.1, "time/step_seconds": 1.0}
    runs = {str(number): run_of(*([row | {"time/update_seconds": 1.0}] * 3_000)) for number in range(5)}
    for one in all_charts(runs):
        for series in one.series:
            assert len(series.steps) <= (BARS if one.stacked else POINTS)


def test_charts_of_domains_whose_names_differ_by_a_sign_keep_files_of_their_own():
    row = {f"reward/{domain}/{part}": 0.5 for domain in ("a+", "a-") for part in ("mean", "x", "y")}
    keys = [one.key for one in all_charts({"run": run_of(row)})]
    assert len(keys) == len(set(keys)) == 3
