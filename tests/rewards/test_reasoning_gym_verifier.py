# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import json
import re
from pathlib import Path
from typing import Any

import pytest

from grpo_jax.config import Domain, RewardsConfig
from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rewards.reasoning_gym_verifier import EVALUATING_TASKS, can_call, reasoning_gym_reward

reasoning_gym = pytest.importorskip("reasoning_gym", reason="needs the extra [quickstart]")

TASKS = [
    *("chain_sum", "leg_counting", "countdown", "spell_backward", "knights_knaves", "simple_equations", "rearc"),
    *("spiral_matrix", "simple_integration", "prime_factorization", "word_sorting"),
]


def problem(task: str, entry: dict[str, Any], **parameters: Any) -> Problem:
    values = json.loads(json.dumps({"task": task, "parameters": parameters, "entry": entry}, default=str))
    return Problem("p", "logic", (), values["entry"]["answer"], extra={"reasoning_gym": values})


@pytest.mark.parametrize("task", TASKS)
def test_scores_are_the_librarys_own_on_right_and_wrong_answers(task: str):
    dataset = reasoning_gym.create_dataset(task, size=4, seed=11)
    entries = [dataset[index] for index in range(4)]
    for entry, other in zip(entries, entries[1:] + entries[:1], strict=True):
        for answer in (entry["answer"], other["answer"], "7"):
            if answer is None:
                continue
            part = reasoning_gym_reward(problem(task, entry, size=4, seed=11), f"so <answer>{answer}</answer>")
            wanted = dataset.score_answer(answer, entry)
            assert part.value == pytest.approx(wanted)
            assert part.status is (RewardStatus.PASS if wanted == 1.0 else RewardStatus.FAIL)


def test_no_answer_is_said_so():
    entry = reasoning_gym.create_dataset("chain_sum", size=1, seed=1)[0]
    part = reasoning_gym_reward(problem("chain_sum", entry), "no idea")
    assert (part.value, part.status) == (0.0, RewardStatus.NO_ANSWER)


def test_an_answer_that_the_verifier_chokes_on_is_unparsable_and_not_invalid():
    entry = reasoning_gym.create_dataset("prime_factorization", size=1, seed=1)[0]
    part = reasoning_gym_reward(problem("prime_factorization", entry), "<answer>seven</answer>")
    assert (part.value, part.status) == (0.0, RewardStatus.UNPARSABLE)


def test_every_task_that_evaluates_answers_is_guarded():
    folder = Path(reasoning_gym.__file__).parent
    evaluating = re.compile(r"(?:\beval|parse_expr|sympify|\bexec)\(\s*(?:user_|predicted_?)?answer\b")
    found = {file.stem for file in folder.rglob("*.py") if evaluating.search(file.read_text(encoding="utf-8"))}
    assert found
    assert found <= EVALUATING_TASKS


@pytest.mark.parametrize(
    "answer",
    ["__import__('os').system('true')", "open('x','w')", "(open)('x')", "[print][0]('x')", "exec ('1')",
     "().__class__", "(print #\n(1))", "print\\\n(1)", "sin.diff(x)", "x.log(1)", "(lambda: 1)()",
     "'a'.join('b')", "x.diff(x)", "eval(input())", "f'{open(1)}'", "1" * 3000],
)  # fmt: skip
def test_answers_that_could_call_anything_are_not_evaluated(answer: str):
    assert can_call(answer)
    entry = reasoning_gym.create_dataset("countdown", size=1, seed=1)[0]
    part = reasoning_gym_reward(problem("countdown", entry), f"<answer>{answer}</answer>")
    assert (part.value, part.status) == (0.0, RewardStatus.UNPARSABLE)


@pytest.mark.parametrize(
    "answer",
    ["3 * (4 + 5)", "(1+2)*(3-4)", "x**2*exp(3*x) + C", "2*sin(x)*cos(x)/3", "[[0, 1], [1, 0]]", "1 2 3", "asin(x)",
     "-log(x + 1) + C", "['A', 'B']", "x*(x + 1)"],
)  # fmt: skip
def test_honest_answers_are_evaluated(answer: str):
    assert not can_call(answer)


def test_workers_score_logic_and_math_side_by_side():
    dataset = reasoning_gym.create_dataset("leg_counting", size=3, seed=2)
    logic = Domain(rewards={"reasoning_gym": 1.0, "answer_format": 0.5})
    domains = {"logic": logic, "math": Domain(rewards={"math": 1.0})}
    with RewardPool(domains, RewardsConfig(workers=1)) as pool:
        tickets = [
            pool.submit(problem("leg_counting", dataset[index], size=3), f"<answer>{dataset[index]['answer']}</answer>")
            for index in range(3)
        ]
        tickets += [pool.submit(Problem("m", "math", (), r"\sqrt{8}"), r"\boxed{2\sqrt{2}}")]
        assert [reward.total for reward in pool.collect(tickets)] == [1.5, 1.5, 1.5, 1.0]
