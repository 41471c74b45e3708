# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `reasoning_gym` reward: hands the extracted answer to the task's own verifier.

`Problem.extra["reasoning_gym"]` holds {"task": name, "parameters": {...}, "entry": {question, answer, metadata}}. Some
of the library's verifiers pass the answer to `eval` or sympy's `parse_expr`; for those tasks an answer that could call
anything is refused, so that a completion runs no code in the worker.
"""

import functools
import importlib.util
import json
import re
from typing import Any

from grpo_jax.config import RewardsConfig
from grpo_jax.records import ConfigError, PartScore, Problem, RewardStatus
from grpo_jax.rewards.extraction import extract_answer

EVALUATING_TASKS = frozenset(
    "binary_matrix countdown intermediate_integration n_queens polynomial_multiplication puzzle24 simple_integration "
    "spiral_matrix string_insertion".split()
)
"""Tasks whose verifier evaluates the answer as Python."""
_TUPLE_TASKS = frozenset(("arc_agi", "rearc"))  # they compare with tuples, which JSON turns into lists
_MAX_EVALUATED_LENGTH = 2000
_FUNCTIONS = r"(?:a?(?:sin|cos|tan|sec|csc|cot)h?|exp|log|ln|sqrt|Abs|x|X|C)"
_CALL = re.compile(rf"(?:(?<!\w)(?!{_FUNCTIONS}\s*\()[^\W\d]\w*|\.\s*\w+|[\])}}\"'])\s*\(|[\\#]")


def check_available(settings: RewardsConfig) -> None:
    """Raise `ConfigError` where the library is not installed."""
    if importlib.util.find_spec("reasoning_gym") is None:
        raise ConfigError("reward 'reasoning_gym' needs a package; run: pip install 'grpo_jax[quickstart]'")


def warm_up(settings: RewardsConfig) -> None:
    """Import the library (seconds) before the first sample is timed."""
    import reasoning_gym  # noqa: F401


@functools.lru_cache(maxsize=256)
def _dataset(task: str, parameters: str) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(task, **json.loads(parameters))


def can_call(answer: str) -> bool:
    """Whether evaluating a text could call more than elementary functions, or is too long to tell."""
    return len(answer) > _MAX_EVALUATED_LENGTH or "__" in answer or "lambda" in answer or bool(_CALL.search(answer))


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def reasoning_gym_reward(problem: Problem, completion: str) -> PartScore:
    """Score by the task's `score_answer`, which gives partial credit in [0, 1]; pass at exactly 1.

    Raises:
        KeyError: The problem does not carry the task, its parameters and its entry.
        Exception: The verifier fails on the right answer too.
    """
    source = problem.extra["reasoning_gym"]
    task, entry = source["task"], dict(source["entry"])
    answer = extract_answer(completion)
    if answer is None:
        return PartScore(0.0, RewardStatus.NO_ANSWER)
    if task in EVALUATING_TASKS and can_call(answer.text):
        return PartScore(0.0, RewardStatus.UNPARSABLE)
    if task in _TUPLE_TASKS:
        entry["metadata"] = _tuples(entry["metadata"])
    dataset = _dataset(task, json.dumps(dict(source["parameters"]), sort_keys=True))
    try:
        value = float(dataset.score_answer(answer.text, entry))
    except Exception:  # noqa: BLE001
        # Several verifiers raise on answers that they cannot read. That must not be a way to be left out of the loss
        # (`invalid`): where the same verifier handles the right answer, the given one is at fault.
        dataset.score_answer(entry["answer"], entry)
        return PartScore(0.0, RewardStatus.UNPARSABLE)
    short = " ".join(answer.text.split())
    return PartScore(value, RewardStatus.PASS if value == 1.0 else RewardStatus.FAIL, short)
