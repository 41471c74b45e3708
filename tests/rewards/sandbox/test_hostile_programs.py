# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile programs on every backend: none passes, is late or leaves anything, and the next one is judged right."""

import os
import platform
import resource
import time
from pathlib import Path

import pytest

from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rewards.code_reward import code
from grpo_jax.rewards.sandbox import session
from tests.rewards.sandbox.hostile import escape, exhaustion, forgery

TOTAL_SECONDS = 0.3
LATE_SECONDS = 20.0  # of a loaded machine; what no limit stops never returns
SETTINGS = {"cpu_seconds": 0.1, "total_seconds": TOTAL_SECONDS, "memory_megabytes": 256}
CANARIES = [
    Path("/tmp/hostile_canary"),
    Path("/dev/shm/hostile_canary"),
    Path("hostile_canary"),
    Path("/hostile_canary"),
]
SECRETS = (48611, 77003, 10459)

HONEST = "import sys\ndef f(x):\n    return {answers}[x - 1]\nif __name__ == '__main__':\n    print(f(int(input())))"


def _is_portable(source: str) -> bool:
    """Raw call numbers below mean something else on other machines."""
    return platform.machine() == "x86_64" or "libc.syscall(" not in source


PROGRAMS = {
    **{f"forgery-{name}": (source, SECRETS) for name, source in forgery.PROGRAMS.items()},
    **{f"exhaustion-{name}": (source, SECRETS) for name, source in exhaustion.PROGRAMS.items()},
    **{
        f"escape-{name}": (source, ("escaped",) * 3) for name, source in escape.PROGRAMS.items() if _is_portable(source)
    },
}


def problems(answers) -> list[Problem]:
    """The same task judged by values, by a tests process, and by output."""
    pairs = list(enumerate(answers, start=1))
    loop = f"""
def check(candidate):
    for x, y in {pairs}:
        assert not (candidate(x) != y)
        assert candidate(x) == y
"""
    truths = [
        {"kind": "asserts", "tests": [f"assert f({x}) == {y!r}" for x, y in pairs], "entry_point": "f"},
        {"kind": "check", "test": loop, "entry_point": "f", "prompt": ""},
        {"kind": "stdin", "inputs": ["1\n"], "outputs": [f"{answers[0]}\n"]},
    ]
    return [Problem(f"hostile#{index}", "code", (), truth) for index, truth in enumerate(truths)]


def fenced(source: str) -> str:
    return f"Here it is.\n```python\n{source}\n```\n"


def descendants() -> set[int]:
    """Processes that come from this one."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def judge(name: str, kinds: tuple[str, ...]) -> None:
    """Run one hostile program against the kinds of tests, an honest one after each, and look for what is left."""
    source, answers = PROGRAMS[name]
    before, files = len(descendants()), len(os.listdir("/proc/self/fd"))
    for problem in problems(answers):
        kind = problem.ground_truth["kind"]
        if kind not in kinds:
            continue
        start = time.monotonic()
        part = code(problem, fenced(source), **SETTINGS)
        seconds = time.monotonic() - start
        assert (part.status == RewardStatus.PASS, part.value) == (False, 0.0), kind
        assert seconds < TOTAL_SECONDS + LATE_SECONDS, kind
        assert code(problem, fenced(HONEST.format(answers=answers))).status == RewardStatus.PASS, f"after {kind}"
    assert len(descendants()) == before
    assert len(os.listdir("/proc/self/fd")) == files
    assert not [path for path in CANARIES if path.exists() or path.is_symlink()]


KINDS = {"forgery": ("asserts", "check", "stdin"), "exhaustion": ("asserts", "stdin"), "escape": ("asserts",)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_program_gains_nothing_and_leaves_nothing(backend, name, monkeypatch):
    monkeypatch.setenv("SECRET_CANARY", "1")
    judge(name, KINDS[name.partition("-")[0]])


@pytest.mark.slow
def test_so_it_is_with_the_kinds_of_tests_left_out_above(backend):
    for name in PROGRAMS:
        judge(name, tuple({"asserts", "check", "stdin"} - set(KINDS[name.partition("-")[0]])))


def test_the_fraction_mode_pays_forgeries_nothing(backend):
    for name, source in forgery.PROGRAMS.items():
        for problem in problems(SECRETS)[1:]:
            part = code(problem, fenced(source), mode="fraction", **SETTINGS)
            assert (part.status == RewardStatus.PASS, part.value) == (False, 0.0), (name, problem.ground_truth["kind"])


def test_memory_of_the_host_stays_flat(backend):
    floods = [fenced(exhaustion.PROGRAMS[name]) for name in ("huge_text", "report_flood")]

    def peak_kibibytes(rounds: int) -> int:
        for _ in range(rounds):
            for completion in floods:
                for problem in problems(SECRETS):
                    code(problem, completion, **SETTINGS)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert -peak_kibibytes(1) + peak_kibibytes(2) < 32 * 1024  # one result alone may be 1 MiB


def test_the_attempts_are_real():
    """What the backends hold against works where there is none, so the suite above can fail."""
    session.start("none")
    try:
        for name in (
            "reads_users",
            "opens_tcp",
            "opens_unix",
            "makes_memory_file",
            "asks_to_be_traced",
            "datagram_pair",
        ):
            part = code(problems(("escaped",) * 3)[0], fenced(escape.PROGRAMS[name]))
            assert part.status == RewardStatus.PASS, name
    finally:
        session.stop()
