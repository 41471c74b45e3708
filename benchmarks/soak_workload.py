# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Completions of every domain with the verdict that each must get, some of them hostile and some that never end."""

import itertools
import json
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grpo_jax.config import Domain
from grpo_jax.data.planning_problems.write import write_planning_problems
from grpo_jax.pddl.plan_text import read_plan_file
from grpo_jax.records import Problem, RewardStatus

REASONING = "<think>" + "Let me see what is asked here, and work it out step by step. " * 30 + "</think>\n"
PASS, WRONG = (RewardStatus.PASS,), (RewardStatus.FAIL,)
NOT_PASSED = (RewardStatus.FAIL, RewardStatus.NO_ANSWER, RewardStatus.UNPARSABLE, RewardStatus.TIMEOUT)
ENDED = (RewardStatus.TIMEOUT, RewardStatus.FAIL)
_FRUIT = ("apple", "banana", "cherry", "date")


@dataclass(frozen=True)
class Task:
    """One completion and the statuses that are right for it."""

    kind: str
    problem: Problem
    completion: str
    allowed: tuple[RewardStatus, ...]


def fragile(problem: Problem, completion: str) -> float:
    """A checker that the completion can hang or kill, as a faulty one of a user's would be."""
    if "hang" in completion:
        while True:
            pass
    if "die" in completion:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(len(completion) > 0)


def domains() -> dict[str, Domain]:
    """One domain for every kind of check."""
    own_check = f"{Path(__file__).resolve()}:fragile"
    return {
        "math": Domain(rewards={"math": 1.0, "answer_given": 0.5, "format_exact": 0.1}),
        "answers": Domain(rewards={"exact_match": 1.0, "text_f1": 0.5}),
        "choice": Domain(rewards={"choice": 1.0}),
        "yes_no": Domain(rewards={"yes_no": 1.0}),
        "calls": Domain(rewards={"function_calls": 1.0}),
        "planning": Domain(rewards={"planning": 1.0}),
        "code": Domain(rewards={"code": 1.0}, reward_settings={"code": {"cpu_seconds": 0.5, "total_seconds": 1.0}}),
        "own": Domain(rewards={own_check: 1.0}),
    }


def _math(rng: random.Random) -> tuple[object, str, str]:
    number = rng.choice([str(rng.randint(-9999, 9999)), f"{rng.randint(1, 99)}/{rng.choice([7, 11, 13])}"])
    return (
        number,
        rf"{REASONING}The answer is \boxed{{{number}}}.",
        rf"{REASONING}\boxed{{{rng.randint(10**6, 10**7)}}}",
    )


def _answers(rng: random.Random) -> tuple[object, str, str]:
    gold = rng.choice(_FRUIT)
    others = [fruit for fruit in _FRUIT if fruit != gold]
    return [f"the {gold}"], f"{REASONING}<answer>{gold.title()}</answer>", f"<answer>{rng.choice(others)}</answer>"


def _choice(rng: random.Random) -> tuple[object, str, str]:
    right, wrong = rng.sample("ABCD", 2)
    gold = {"label": right, "choices": dict(zip("ABCD", _FRUIT, strict=True))}
    return gold, f"{REASONING}The answer is ({right}).", f"{REASONING}The answer is ({wrong})."


def _yes_no(rng: random.Random) -> tuple[object, str, str]:
    right, wrong = rng.sample(["yes", "no"], 2)
    return right, f"{REASONING}<answer>{right}</answer>", f"{REASONING}<answer>{wrong}</answer>"


def _calls(rng: random.Random) -> tuple[object, str, str]:
    city, days = rng.choice(["Oslo", "Lima", "Pune"]), rng.randint(1, 9)
    gold = {
        "functions": [{"name": "forecast"}, {"name": "alarm"}],
        "calls": [{"forecast": {"city": [city], "days": [days]}}],
    }
    right = {"name": "forecast", "arguments": {"city": city, "days": days}}
    wrong = {"name": "forecast", "arguments": {"city": city, "days": days + 1}}
    return gold, _tool_call(right), _tool_call(wrong)


def _tool_call(call: dict[str, object]) -> str:
    return f"{REASONING}<tool_call>\n{json.dumps(call)}\n</tool_call>"


def _fenced(code: str) -> str:
    return f"{REASONING}```python\n{code}\n```"


def _code(rng: random.Random) -> tuple[object, str, str]:
    factor = rng.randint(2, 99)
    tests = [f"assert scale({number}) == {number * factor}" for number in rng.sample(range(1, 1000), 3)]
    gold = {"kind": "asserts", "tests": tests, "setup": "", "imports": [], "entry_point": None}
    right, wrong = (f"def scale(number):\n    return number * {shown}" for shown in (factor, factor + 1))
    return gold, _fenced(right), _fenced(wrong)


def _planning(folder: Path, count: int) -> Callable[[random.Random], tuple[object, str, str]]:
    write_planning_problems(folder, count=count)
    found = []
    for plan_file in sorted(folder.glob("*/*.soln")):
        steps = [f"({' '.join(step)})" for step in read_plan_file(str(plan_file))]
        gold = {
            "domain_file": str(plan_file.with_name("domain.pddl")),
            "problem_file": str(plan_file.with_suffix(".pddl")),
            "plan_file": str(plan_file),
            "scenario": plan_file.parent.name,
        }
        right, wrong = ("\n".join(part) for part in (steps, steps[:-1] or ["(no-such-action)"]))
        found.append((gold, f"{REASONING}```\n{right}\n```", f"{REASONING}```\n{wrong}\n```"))
    return lambda rng: rng.choice(found)


HOSTILE_PROGRAMS = (
    "import os\nos._exit(0)",
    "import sys\nsys.exit(0)",
    "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "import os\nwhile True:\n    os.fork()",
    "held = []\nwhile True:\n    held.append(bytearray(10**7))",
    "while True:\n    print('x' * 10**6)",
    "class Same:\n    def __eq__(self, other):\n        return True\ndef scale(number):\n    return Same()",
    "import socket\nsocket.create_connection(('127.0.0.1', 1))",
    "open('/etc/passwd').read()\nopen('left_behind', 'w').write('x')",
    "def scale(number):\n    return scale(number)",
    "import builtins\nbuiltins.print = None\nraise SystemExit(0)",
    "import subprocess\nsubprocess.Popen(['sleep', '1000'])",
)
HOSTILE_TEXTS = (
    ("math", "{" * 20_000),
    ("math", r"\boxed{" * 5_000 + "5" + "}" * 5_000),
    ("math", r"\boxed{9^{9^{9^{9}}}}"),
    ("math", r"\boxed{" + "(" * 3_000 + "1" + ")" * 3_000 + "}"),
    ("math", "\x00\ud7ff" * 5_000),
    ("math", r"\boxed{\int_0^\infty x^{x^{x}} dx}"),
    ("math", "<answer>" * 20_000),
    ("answers", "<answer>" + "\u0300" * 50_000 + "</answer>"),
    ("choice", "the answer is A or B or C " * 2_000),
    ("calls", "<tool_call>" + "[" * 50_000),
    ("calls", '<tool_call>{"name": "forecast", "arguments": {"days": ' + "9" * 5_000 + "}}</tool_call>"),
    ("calls", "[forecast(" * 3_000),
    ("planning", "(" * 50_000),
    ("planning", "```\n" + "(move a b)\n" * 20_000 + "```"),
    ("own", "die"),
)
ENDLESS_PROGRAMS = (
    "while True:\n    pass",
    "import time\ntime.sleep(10**6)",
    "def scale(number):\n    while True:\n        pass",
    "import threading\nthreading.Event().wait()",
)


def make_tasks(count: int, folder: Path, seed: int = 0) -> list[Task]:
    """A shuffled mix: 1 % hostile, 1 % that never end, the rest right and wrong completions in turn.

    Args:
        count: Tasks in all.
        folder: Where the planning problems are written.
        seed: Names the draw.
    """
    rng = random.Random(seed)
    makers = {
        "math": _math,
        "answers": _answers,
        "choice": _choice,
        "yes_no": _yes_no,
        "calls": _calls,
        "planning": _planning(folder, count=20),
        "code": _code,
    }
    numbers = itertools.count()

    def problem(domain: str, truth: object) -> Problem:
        return Problem(f"soak#{next(numbers)}", domain, (), truth)

    tasks: list[Task] = []
    tasks.extend(itertools.islice(_hostile(rng, makers, problem), count // 100))
    tasks.extend(itertools.islice(_endless(rng, problem), count // 100))
    for domain in itertools.cycle(makers):
        if len(tasks) >= count:
            break
        truth, right, wrong = makers[domain](rng)
        given = rng.random() < 0.5
        tasks.append(Task(domain, problem(domain, truth), right if given else wrong, PASS if given else WRONG))
    rng.shuffle(tasks)
    return tasks


def _hostile(
    rng: random.Random,
    makers: dict[str, Callable[[random.Random], tuple[object, str, str]]],
    problem: Callable[[str, object], Problem],
) -> Iterator[Task]:
    for program, (domain, text) in itertools.zip_longest(
        itertools.cycle(HOSTILE_PROGRAMS), itertools.cycle(HOSTILE_TEXTS)
    ):
        yield Task("hostile code", problem("code", _code(rng)[0]), _fenced(program), NOT_PASSED)
        truth = "1" if domain == "own" else makers[domain](rng)[0]
        yield Task("hostile text", problem(domain, truth), text, NOT_PASSED)


def _endless(rng: random.Random, problem: Callable[[str, object], Problem]) -> Iterator[Task]:
    for program in itertools.cycle(ENDLESS_PROGRAMS):
        yield Task("endless code", problem("code", _code(rng)[0]), _fenced(program), ENDED)
        yield Task("endless check", problem("own", "1"), "hang", (RewardStatus.TIMEOUT,))


def count_by_kind(tasks: Sequence[Task]) -> dict[str, int]:
    """Tasks of each kind."""
    kinds = dict.fromkeys(task.kind for task in tasks)
    return {kind: sum(task.kind == kind for task in tasks) for kind in kinds}
