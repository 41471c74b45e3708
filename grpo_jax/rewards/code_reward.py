# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `code` reward: the program in a completion against the problem's tests, in a sandbox.

The program is the last closed fenced block of the completion. `code_tests.py` lists the forms of ground truth.
"""

import functools
import json
import random
from collections.abc import Sequence
from typing import Literal

from grpo_jax.config import RewardsConfig
from grpo_jax.records import PartScore, Problem, RewardStatus
from grpo_jax.rewards.code_judge import Allowance, judge
from grpo_jax.rewards.code_solution import extract_solution
from grpo_jax.rewards.code_tests import CodeTest, CodeTests, UnsupportedTestsError, read_tests
from grpo_jax.rewards.sandbox import session
from grpo_jax.rewards.sandbox.inside.limits import MEBIBYTE

NEEDS_SANDBOX = True
"""Tells the pool to settle on a sandbox backend before any worker starts."""


def warm_up(settings: RewardsConfig) -> None:
    """Start this worker's sandbox.

    Raises:
        SandboxError: It does not start.
    """
    session.start(settings.sandbox)


@functools.lru_cache(maxsize=512)
def _tests(ground_truth: str) -> CodeTests | None:
    try:
        return read_tests(json.loads(ground_truth))
    except UnsupportedTestsError:
        return None


def choose_tests(tests: Sequence[CodeTest], max_tests: int, key: str) -> list[CodeTest]:
    """At most `max_tests` of them (0 is all), the same ones for the same key, in their order."""
    if max_tests <= 0 or len(tests) <= max_tests:
        return [*tests]
    return [tests[index] for index in sorted(random.Random(key).sample(range(len(tests)), max_tests))]


def code(
    problem: Problem,
    completion: str,
    *,
    mode: Literal["all_or_nothing", "fraction"] = "all_or_nothing",
    max_tests: int = 16,
    seed: int = 0,
    cpu_seconds: float = 1.0,
    total_seconds: float = 4.0,
    memory_megabytes: int = 512,
    float_tolerance: float = 0.0,
) -> PartScore:
    """Run the program against the tests.

    Args:
        problem: Carries the tests in `ground_truth`.
        completion: Decoded text of the assistant's turn.
        mode: `all_or_nothing` gives 1 or 0; `fraction` the share of passed tests.
        max_tests: Tests run of those that there are, drawn by seed and problem; 0 runs all.
        seed: Changes the draw.
        cpu_seconds: Processor time of each test.
        total_seconds: Wall time of all tests; keep it below `rewards.timeout_seconds`.
        memory_megabytes: Address space of the program.
        float_tolerance: Relative and absolute tolerance of numbers, where the tests name none.

    Returns:
        A value in [0, 1]; it is 1 exactly where the status is pass.

    Raises:
        SandboxError: The sandbox fails on honest programs too.
    """
    tests = _tests(json.dumps(problem.ground_truth, sort_keys=True, default=str))
    if tests is None:
        return PartScore(0.0, RewardStatus.UNSUPPORTED)
    solution = extract_solution(completion)
    if solution is None:
        return PartScore(0.0, RewardStatus.NO_ANSWER)
    chosen = choose_tests(tests.tests, max_tests, f"{seed}/{problem.id}")
    allowance = Allowance(
        cpu_seconds, total_seconds, memory_megabytes * MEBIBYTE, float_tolerance, mode == "all_or_nothing"
    )
    passed, status = judge(tests, chosen, solution, allowance)
    share = passed / len(chosen)
    return PartScore(share if mode == "fraction" else float(status is RewardStatus.PASS), status)
