# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a solution against tests in the sandbox of this process and decides outside of it.

| tests | processes | what crosses | who decides |
| --- | --- | --- | --- |
| `ValueTest` | one for all of them | expressions in, values out | the host |
| `ProgramTest` | one for the solution, one for the tests | calls and values | the tests' process, by a nonce |
| `StdinTest` | one for each | bytes in, bytes out | the host |

So expected values are never in a process, nor an ancestor of one, that runs the solution.
"""

import json
import math
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from grpo_jax.records import RewardStatus
from grpo_jax.rewards.code_comparison import equals
from grpo_jax.rewards.code_tests import CodeTest, CodeTests, ProgramTest, StdinTest, ValueTest
from grpo_jax.rewards.sandbox import session
from grpo_jax.rewards.sandbox.inside.limits import MEBIBYTE, Limits
from grpo_jax.rewards.sandbox.supervisor import Ended, Execution

_WALL_FACTOR = 4.0
"""Processor time decides; a program that waits is stopped after this many times as much."""
_LEAST_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one completion may use.

    Attributes:
        cpu_seconds: Processor time of each test.
        total_seconds: Wall time of all tests together.
        memory_bytes: Address space of each process.
        tolerance: For numbers, where the tests name none themselves.
        stop_at_failure: Leave the remaining tests out once one has failed.
    """

    cpu_seconds: float = 1.0
    total_seconds: float = 4.0
    memory_bytes: int = 512 * MEBIBYTE
    tolerance: float = 0.0
    stop_at_failure: bool = True


class _Verdict(Exception):  # noqa: N818 carries a result through the loops
    """Ends the judgement early."""

    def __init__(self, status: RewardStatus) -> None:
        super().__init__(status)
        self.status = status


def judge(
    tests: CodeTests, chosen: Sequence[CodeTest], solution: str, allowance: Allowance
) -> tuple[int, RewardStatus]:
    """Count the tests that a solution passes.

    Args:
        tests: What stands around the tests.
        chosen: The tests to run.
        solution: Text of the program.
        allowance: Its bounds.

    Returns:
        Number of passed tests, and pass where that is all of them, else fail, timeout, unparsable or unsupported.

    Raises:
        SandboxError: The sandbox fails on honest programs too.
    """
    deadline = time.monotonic() + allowance.total_seconds
    passed = 0
    try:
        for outcome in _outcomes(tests, chosen, solution, allowance, deadline):
            passed += outcome
            if not outcome and allowance.stop_at_failure:
                break
    except _Verdict as verdict:
        return passed, verdict.status
    return passed, RewardStatus.PASS if passed == len(chosen) else RewardStatus.FAIL


def _outcomes(
    tests: CodeTests, chosen: Sequence[CodeTest], solution: str, allowance: Allowance, deadline: float
) -> Iterator[bool]:
    tolerance = tests.tolerance or allowance.tolerance
    job = {"before": list(tests.before), "prompt": tests.prompt, "solution": solution, "after": tests.after}
    values = [test for test in chosen if isinstance(test, ValueTest)]
    if values:
        limits = _limits(allowance, deadline, len(values))
        yield from _value_outcomes(values, job, limits, tolerance, allowance.stop_at_failure)
    programs = [test for test in chosen if isinstance(test, ProgramTest)]
    if programs:
        yield from _program_outcomes(programs, tests, job, _limits(allowance, deadline, len(programs)))
    for test in chosen:
        if isinstance(test, StdinTest):
            yield _stdin_outcome(test, solution, _limits(allowance, deadline, 1, 2 * len(test.stdout)), tolerance)


def _limits(allowance: Allowance, deadline: float, num_tests: int, output_bytes: int = 0) -> Limits:
    left = deadline - time.monotonic()
    if left < _LEAST_SECONDS:
        raise _Verdict(RewardStatus.TIMEOUT)
    cpu = min(allowance.cpu_seconds * num_tests, allowance.total_seconds)
    wall = min(left, _WALL_FACTOR * cpu)
    return Limits(cpu, wall, allowance.memory_bytes, max(MEBIBYTE, output_bytes))


def _run(executions: Sequence[Execution], limits: Limits) -> list[Ended]:
    ended = session.run(executions, limits)
    if ended is None:
        raise _Verdict(RewardStatus.FAIL)  # it takes down its sandbox, where an honest program does not
    return ended


def _is_overrun(ended: Ended) -> bool:
    return ended.stopped_by in ("cpu", "wall")


def _lines(content: bytes) -> Iterator[Any]:
    for line in content.splitlines():
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue  # a hostile or cut-off line claims nothing


def _value_outcomes(
    tests: Sequence[ValueTest], job: dict[str, Any], limits: Limits, tolerance: float, stop_at_failure: bool
) -> Iterator[bool]:
    requests = [test.request for test in tests]
    job = {**job, "tests": requests, "stop_at_failure": stop_at_failure}
    (ended,) = _run([Execution("values", job)], limits)
    claims: dict[int, Any] = {}
    for line in _lines(ended.result):
        match line:
            case {"unparsable": _}:
                if not claims:
                    raise _Verdict(RewardStatus.UNPARSABLE)
            case [int(index), value] if not isinstance(index, bool):
                claims.setdefault(index, value)
    for index, test in enumerate(tests):
        if index not in claims and _is_overrun(ended):
            raise _Verdict(RewardStatus.TIMEOUT)
        yield index in claims and _holds(test, claims[index], tolerance)


def _holds(test: ValueTest, claim: Any, tolerance: float) -> bool:
    if test.relation == "is":
        return type(claim) is type(test.expected) and claim == test.expected
    return equals(claim, test.expected, tolerance=tolerance, from_json=test.relation == "json")


def _program_outcomes(
    tests: Sequence[ProgramTest], around: CodeTests, job: dict[str, Any], limits: Limits
) -> Iterator[bool]:
    nonce = secrets.token_hex(16)
    programs = {
        "nonce": nonce,
        "before": list(around.around_programs),
        "programs": [test.source for test in tests],
        "remotes": dict(around.remotes),
    }
    solution, judge_process = _run([Execution("remote", job), Execution("tests", programs)], limits)
    report = next((line for line in _lines(judge_process.result) if isinstance(line, dict)), {})
    if report.get("nonce") != nonce:
        raise _Verdict(RewardStatus.TIMEOUT if _is_overrun(judge_process) else RewardStatus.FAIL)
    if report["unsupported"]:
        raise _Verdict(RewardStatus.UNSUPPORTED)
    if report["solution"] == "unparsable":
        raise _Verdict(RewardStatus.UNPARSABLE)
    yield from report["passed"]
    if len(report["passed"]) < len(tests):
        raise _Verdict(RewardStatus.TIMEOUT if _is_overrun(solution) else RewardStatus.FAIL)


def _stdin_outcome(test: StdinTest, solution: str, limits: Limits, tolerance: float) -> bool:
    (ended,) = _run([Execution("program", {"prompt": "", "solution": solution}, test.stdin.encode())], limits)
    if _is_overrun(ended):
        raise _Verdict(RewardStatus.TIMEOUT)
    if any(isinstance(line, dict) and "unparsable" in line for line in _lines(ended.result)):
        raise _Verdict(RewardStatus.UNPARSABLE)
    return ended.status == 0 and same_output(ended.stdout.decode(errors="replace"), test.stdout, tolerance)


def same_output(printed: str, expected: str, tolerance: float = 0.0) -> bool:
    """Whether two outputs have the same lines up to trailing blanks; with a tolerance, words or near numbers."""
    left, right = _output_lines(printed), _output_lines(expected)
    if left == right:
        return True
    if not tolerance or len(left) != len(right):
        return False
    rows = [(one.split(), other.split()) for one, other in zip(left, right, strict=True)]
    return all(
        len(one) == len(other) and all(_near(*words, tolerance) for words in zip(one, other, strict=True))
        for one, other in rows
    )


def _output_lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _near(word: str, other: str, tolerance: float) -> bool:
    if word == other:
        return True
    try:
        return math.isclose(float(word), float(other), rel_tol=tolerance, abs_tol=tolerance)
    except ValueError:
        return False
