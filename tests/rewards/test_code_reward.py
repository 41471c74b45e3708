# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Code rewards by kind of test, and the published reference solutions."""

import ast
import copy
import json
import os

import pytest

from grpo_jax.config import Domain, RewardsConfig
from grpo_jax.data.preparation import code_contests, humaneval, mbpp
from grpo_jax.records import ConfigError, Problem, RewardStatus
from grpo_jax.rewards.code_judge import same_output
from grpo_jax.rewards.code_reward import choose_tests, code
from grpo_jax.rewards.code_tests import ProgramTest, ValueTest, read_tests
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rewards.sandbox import selection, session


@pytest.fixture(scope="module")
def sandbox():
    try:
        session.start(selection.select_backend("auto", acknowledged=False))
    except ConfigError as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield
    session.stop()


def problem(truth, name="p") -> Problem:
    return Problem(name, "code", (), truth)


def fenced(source: str) -> str:
    return f"So:\n```python\n{source}\n```\n"


ADD = {"kind": "asserts", "tests": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0", "assert add(2, 2) == 4"]}


@pytest.mark.parametrize(
    ("completion", "status", "share"),
    [
        (fenced("def add(a, b):\n    return a + b"), "pass", 1.0),
        (fenced("def add(a, b):\n    return abs(a) + abs(b)"), "fail", 2 / 3),
        (fenced("def add(a, b):\n    if a < 0: raise ValueError\n    return a + b"), "fail", 2 / 3),
        (fenced("def sub(a, b):\n    return a - b"), "fail", 0.0),
        (fenced("def add(a, b) return"), "unparsable", 0.0),
        ("I would add them: def add(a, b): return a + b", "no_answer", 0.0),
        ("```python\ndef add(a, b):\n    return a + b\n", "no_answer", 0.0),
        (fenced("def add(a, b):\n    while a != 2: pass\n    return 4"), "timeout", 0.0),
    ],
)
def test_status_and_value_of_an_assert_list(sandbox, completion, status, share):
    strict = code(problem(ADD), completion, cpu_seconds=0.2, total_seconds=1.0)
    assert (strict.status, strict.value) == (RewardStatus(status), float(status == "pass"))
    part = code(problem(ADD), completion, mode="fraction", cpu_seconds=0.2, total_seconds=1.0)
    assert part.value == pytest.approx(share)
    assert part.status == RewardStatus(status)


def test_the_last_fenced_block_counts(sandbox):
    right, wrong = (fenced(f"def add(a, b):\n    return a + b + {extra}") for extra in (0, 1))
    assert code(problem(ADD), wrong + right).value == 1.0
    assert code(problem(ADD), right + wrong).value == 0.0
    assert code(problem(ADD), f"<think>{right}</think>{wrong}").value == 0.0
    assert code(problem(ADD), f"<think>{right}</think>").status == RewardStatus.NO_ANSWER


def test_imports_come_before_the_solution_and_setup_after(sandbox):
    truth = {
        "kind": "asserts",
        "imports": ["import math"],
        "setup": "root = Node(4)",
        "tests": ["assert double_root(root) == 4.0", "assert math.isclose(double_root(root), 4, rel_tol=0.001)"],
    }
    solution = "class Node:\n    def __init__(self, v): self.v = v\ndef double_root(node): return 2 * math.sqrt(node.v)"
    only_values = {**truth, "tests": truth["tests"][:1]}
    assert code(problem(only_values), fenced(solution)).value == 1.0
    assert code(problem(truth), fenced(solution)).status == RewardStatus.UNSUPPORTED  # a Node is no plain data


def test_the_left_side_alone_enters_the_sandbox():
    tests = read_tests({"kind": "asserts", "tests": ["assert set(f([1, 2])) == set([41, 42])", "assert not f(0)"]})
    assert tests.tests == (ValueTest("set(f([1, 2]))", "equal", {41, 42}), ValueTest("bool(f(0))", "is", False))


@pytest.mark.parametrize(
    "test",
    [
        "assert isclose(f(1), 3.5)",
        "assert (f(1) == 3) == True",
        "assert abs(f(1) - 3.5) < 1e-6",
        "assert f(1) == g(2)",
        "assert max(f(1), 3) == 3",
        "assert f(1) in (3, 4)",
        "for x in range(3):\n    assert f(x) == 3 * x",
    ],
)
def test_what_would_show_the_expected_value_runs_in_another_process(test):
    (read,) = read_tests(
        {"kind": "asserts", "tests": [test], "imports": ["from math import *"], "entry_point": "f"}
    ).tests
    assert isinstance(read, ProgramTest)


def test_general_tests_judge_in_their_own_process(sandbox):
    test = "def check(candidate):\n    for x in range(5):\n        assert abs(candidate(x) - x / 3) < 1e-6\n"
    truth = {"kind": "check", "test": test, "entry_point": "third", "prompt": "def third(x):\n"}
    assert isinstance(read_tests(truth).tests[0], ProgramTest)
    assert code(problem(truth), fenced("def third(x):\n    return x / 3")).value == 1.0
    assert code(problem(truth), fenced("    return x / 3")).value == 1.0  # continues the prompt
    assert code(problem(truth), fenced("def third(x):\n    return x / 3 + (x == 4)")).status == RewardStatus.FAIL
    assert code(problem(truth), fenced("def third(x) x")).status == RewardStatus.UNPARSABLE


def test_tests_see_the_exceptions_of_the_solution(sandbox):
    test = (
        "def check(candidate):\n    try:\n        candidate(-1)\n    except ValueError:\n        return\n"
        "    raise AssertionError"
    )
    truth = {"kind": "check", "test": test, "entry_point": "f", "prompt": ""}
    assert code(problem(truth), fenced("def f(x):\n    raise ValueError('negative')")).value == 1.0
    assert code(problem(truth), fenced("def f(x):\n    raise KeyError('negative')")).value == 0.0
    assert code(problem(truth), fenced("def f(x):\n    return 0")).value == 0.0


@pytest.mark.parametrize(
    "truth",
    [
        {"kind": "check", "test": "def check(c):\n    for n in (1, 2): assert c(lambda x: x) == n", "entry_point": "f"},
        {"kind": "asserts", "tests": ["assert isinstance(Thing(), Thing)"]},
        {"kind": "asserts", "tests": []},
        {"kind": "stdin", "inputs": []},
        {"kind": "screenshot"},
        "42",
        None,
    ],
)
def test_what_cannot_be_judged_is_unsupported(truth):
    assert code(problem(truth), fenced("def f(x): return x")).status == RewardStatus.UNSUPPORTED


STDIN = {"kind": "stdin", "inputs": ["3\n", "10\n"], "outputs": ["1 \n2\n3\n\n", "\n".join(map(str, range(1, 11)))]}


@pytest.mark.parametrize(
    ("solution", "status"),
    [
        ("for n in range(int(input())): print(n + 1, end='  \\n')", "pass"),
        (
            "import sys\nsys.stdout.buffer.write(b'\\n'.join(b'%d' % (n + 1) for n in range(int(open(0).read()))))",
            "pass",
        ),
        (
            "import threading\ndef main():\n    for n in range(int(input())): print(n + 1)\n"
            "threading.Thread(target=main).start()",
            "pass",
        ),
        ("for n in range(int(input())): print(n + 1)\nexit()", "pass"),
        ("def main():\n    for n in range(int(input())): print(n + 1)\nif __name__ == '__main__':\n    main()", "pass"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int'\n"
            "for n in range(int(input())): print(A(n).x + 1)",
            "pass",
        ),
        ("for n in range(int(input())): print(n + 1)\nexit(1)", "fail"),
        ("for n in range(int(input())): print(n + 1)\nprint(0)", "fail"),
        ("print(1)", "fail"),
        ("print(1", "unparsable"),
    ],
)
def test_scripts_are_judged_by_lines_and_exit_status(sandbox, solution, status):
    assert code(problem(STDIN), fenced(solution)).status == RewardStatus(status)


def test_output_is_compared_by_lines_with_tolerance_only_on_request():
    assert same_output("1.5  \n2\n\n", "1.5\n2")
    assert not same_output("1.5\n2\n3", "1.5\n2")
    assert not same_output("1.5 2", "1.5\n2")
    assert not same_output("1.5000001", "1.5")
    assert same_output("x 1.5000001", "x 1.5", tolerance=1e-6)
    assert not same_output("y 1.5", "x 1.5", tolerance=1e-6)


def test_calls_reach_functions_and_methods(sandbox):
    truth = {"kind": "calls", "entry_point": "pairs", "inputs": [[[1, 2]], [[]]], "outputs": [[[1, 1], [2, 4]], []]}
    function = "def pairs(items):\n    return [(x, x * x) for x in items]"
    method = "class Solution:\n    def pairs(self, items):\n        return [[x, x * x] for x in items]"
    for solution in (function, method):
        assert code(problem(truth), fenced(solution)).value == 1.0
    assert code(problem(truth), fenced(function.replace("x * x", "x + x"))).value == 0.0


def test_the_draw_of_tests_repeats_and_follows_seed_and_problem():
    tests = [ValueTest(f"f({n})", "equal", n) for n in range(100)]
    draw = choose_tests(tests, 10, "0/a")
    assert draw == choose_tests(tests, 10, "0/a")
    assert len(draw) == 10
    assert [test for test in tests if test in draw] == draw
    assert draw != choose_tests(tests, 10, "1/a")
    assert draw != choose_tests(tests, 10, "0/b")
    assert choose_tests(tests, 0, "0/a") == tests


def test_the_pool_scores_honest_code_between_hostile_code():
    name = selection_or_skip()
    domain = Domain(rewards={"code": 1.0})
    right = fenced("def add(a, b):\n    return a + b")
    attacks = [
        fenced(f"import os, signal\n{body}\ndef add(a, b): return 0")
        for body in ("os.kill(os.getppid(), 9)", "os.killpg(0, 9)", "os.closerange(0, 99)", "os._exit(0)", "1 / 0")
    ]
    rows = [item for attack in attacks for item in (attack, right)]
    settings = RewardsConfig(workers=1, sandbox=name)
    with RewardPool({"code": domain}, settings) as pool:
        rewards = pool.collect([pool.submit(problem(ADD, str(index)), row) for index, row in enumerate(rows)], 60)
    assert [reward.status == RewardStatus.PASS for reward in rewards] == [False, True] * len(attacks)
    assert all(reward.total is not None for reward in rewards)


def selection_or_skip() -> str:
    try:
        return selection.select_backend("auto", acknowledged=False)
    except ConfigError as error:
        pytest.skip(str(error))


FAST_SHARE = 6
"""Every so many-th published problem is judged in each run of the tests; all of them under the marker `slow`."""
SHARES = [FAST_SHARE, pytest.param(1, marks=pytest.mark.slow)]


def published(folder, name, converter, every):
    for index, line in enumerate((folder / name).read_text(encoding="utf-8").splitlines()[::every]):
        row = json.loads(line)
        yield row, converter.convert_row(row, "train", index, name)["reward_model"]["ground_truth"]


def spoiled(truth):
    """The same tests with what they expect changed: the last literal of an equality, else the whole condition."""

    def spoil(source: str) -> str:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assert):
                match node.test:
                    case ast.Compare(left, [ast.Eq()], [right]):
                        node.test = ast.parse(
                            f"({ast.unparse(left)}) == [{ast.unparse(right)}, 'other']", mode="eval"
                        ).body
                    case ast.Constant():
                        pass
                    case other:
                        node.test = ast.parse(f"not ({ast.unparse(other)})", mode="eval").body
        return ast.unparse(tree)

    truth = copy.deepcopy(truth)
    if truth["kind"] == "asserts":
        truth["tests"] = [spoil(test) for test in truth["tests"]]
    else:
        truth["test"] = spoil(truth["test"])
    return truth


@pytest.mark.parametrize("name", ["mbpp.jsonl", "sanitized-mbpp.jsonl"])
@pytest.mark.parametrize("every", SHARES)
def test_reference_solutions_of_mbpp_pass_and_wrong_tests_fail(sandbox, shared_data, name, every):
    failed = []
    for row, truth in published(shared_data / "mbpp", name, mbpp, every):
        right = code(problem(truth), fenced(row["code"]), max_tests=0)
        wrong = code(problem(spoiled(truth)), fenced(row["code"]), max_tests=0)
        slow = row["task_id"] == 123 and right.status == RewardStatus.TIMEOUT
        if not (right.value == 1.0 or slow) or wrong.value != 0.0:
            failed.append((row["task_id"], right.status, wrong.status))
    assert failed == []


@pytest.mark.parametrize("every", SHARES)
def test_reference_solutions_of_humaneval_pass_and_wrong_tests_fail(sandbox, shared_data, every):
    failed = []
    for row, truth in published(shared_data / "humaneval", "HumanEval.jsonl", humaneval, every):
        right = code(problem(truth), fenced(row["canonical_solution"]), max_tests=0)
        whole = code(problem(truth), fenced(row["prompt"] + row["canonical_solution"]), max_tests=0)
        wrong = code(problem(spoiled(truth)), fenced(row["canonical_solution"]), max_tests=0)
        if right.value != 1.0 or whole.value != 1.0 or wrong.value != 0.0:
            failed.append((row["task_id"], right.status, whole.status, wrong.status))
    assert failed == []


@pytest.mark.parametrize("every", SHARES)
def test_reference_solutions_of_leetcode_pass(sandbox, shared_data, every):
    failed = []
    folder = shared_data / "code_contests_rllm"
    for row, truth in published(folder, "leetcode_test.jsonl", code_contests, every):
        needs_package = any(
            f"import {name}" in row["solutions"] or f"from {name}" in row["solutions"]
            for name in ("numpy", "sortedcontainers")
        )
        if code(problem(truth), fenced(row["solutions"]), max_tests=0).value != float(not needs_package):
            failed.append(row["problem"][:80])
    assert failed == []
