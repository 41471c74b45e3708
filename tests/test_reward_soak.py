# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The workload of the reward workers' soak benchmark: what it says it holds, and verdicts that fit."""

from pathlib import Path

from benchmarks.soak_workload import count_by_kind, domains, make_tasks
from grpo_jax.records import RewardStatus
from grpo_jax.rewards.router import Router

WITHOUT_CODE = {name: domain for name, domain in domains().items() if name != "code"}


def test_one_percent_is_hostile_and_one_percent_endless(tmp_path: Path):
    tasks = make_tasks(800, tmp_path)
    counts = count_by_kind(tasks)
    assert sum(counts.values()) == len({task.problem.id for task in tasks}) == 800
    assert counts["hostile text"] + counts["hostile code"] == counts["endless check"] + counts["endless code"] == 8
    assert {task.problem.domain for task in tasks} == set(domains())


def test_the_same_seed_gives_the_same_tasks(tmp_path: Path):
    first, second = make_tasks(200, tmp_path / "a", seed=1), make_tasks(200, tmp_path / "b", seed=1)
    assert [task.completion for task in first] == [task.completion for task in second]
    assert [task.completion for task in first] != [task.completion for task in make_tasks(200, tmp_path / "c", seed=2)]


def test_right_and_wrong_completions_get_the_verdicts_they_must(tmp_path: Path):
    router = Router(WITHOUT_CODE)
    tasks = [task for task in make_tasks(600, tmp_path) if task.kind in WITHOUT_CODE]
    statuses = [router.score(task.problem, task.completion).status for task in tasks]
    assert all(status in task.allowed for status, task in zip(statuses, tasks, strict=True))
    assert {RewardStatus.PASS, RewardStatus.FAIL} == set(statuses)
