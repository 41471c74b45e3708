# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grpo_jax.records import ConfigError, Problem, RewardStatus
from grpo_jax.rewards.calls.function_calls import function_calls, maximum_matching, same_value

PASS, FAIL = RewardStatus.PASS, RewardStatus.FAIL
Calls = list[tuple[str, dict[str, Any]]]


def problem(*calls: dict[str, Any]) -> Problem:
    names = {name for call in calls for name in call} | {"f", "g"}
    return Problem("p", "calls", (), {"functions": [{"name": name} for name in sorted(names)], "calls": list(calls)})


def hermes(calls: Calls) -> str:
    return "\n".join(f"<tool_call>\n{json.dumps({'name': n, 'arguments': a})}\n</tool_call>" for n, a in calls)


def llama(calls: Calls) -> str:
    return "; ".join(json.dumps({"name": n, "parameters": a}, ensure_ascii=False) for n, a in calls)


def python(calls: Calls) -> str:
    def arguments(given: dict[str, Any]) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in given.items())

    return f"[{', '.join(f'{name}({arguments(given)})' for name, given in calls)}]"


SYNTAXES: list[Callable[[Calls], str]] = [hermes, llama, python]


@pytest.mark.parametrize(
    ("accepted", "given", "same"),
    [
        (1, 1, True), (1, 1.0, True), (1.0, 1, True), (1, True, False), (True, 1, False), (True, True, True),
        (1, "1", False), ("1", 1, False), (0, False, False), (None, None, True), (None, 0, False), (0.1, 0.1, True),
        (0.1, 0.10000001, False), (10**30, 10**30, True), (10**30, 10**30 + 1, False),
        ("New York", " new  york", True), ("New York", "New Yorke", False), ("a-b", "ab", False), ("", "", True),
        ([1, 2], [1, 2.0], True), ([1, 2], [2, 1], False), ([1, 2], [1], False), (["A"], ["a"], True), ([], [], True),
        ([[1], [2]], [[1], [2]], True), ([1], 1, False), ("a", ["a"], False),
        ({"k": [1, 2]}, {"k": 2}, True), ({"k": [1, 2]}, {"k": 3}, False), ({"k": [1]}, {}, False),
        ({"k": [1, ""]}, {}, True), ({"k": [1, ""]}, {"k": 5}, False), ({"k": [1]}, {"k": 1, "l": 1}, False),
        ([{"k": [1]}, {"k": [2, ""]}], [{"k": 1}, {}], True), ([{"k": [1]}], [{"k": [1]}], False), ({}, {}, True),
    ],
)  # fmt: skip
def test_values_are_compared_by_type_and_content(accepted: object, given: object, same: bool):
    assert same_value(accepted, given) is same


def test_punctuation_is_ignored_on_request():
    assert same_value("U.S.-based, left", "US based left", lenient=True)
    gold = problem({"f": {"a": ["New York, NY"]}})
    assert function_calls(gold, '[f(a="New York NY")]').value == 0.0
    assert function_calls(gold, '[f(a="New York NY")]', ignore_punctuation=True).value == 1.0


@pytest.mark.parametrize(
    ("calls", "fraction", "status"),
    [
        ([("f", {"a": 1}), ("g", {"b": "x"})], 1.0, PASS),
        ([("g", {"b": "x"}), ("f", {"a": 1})], 1.0, PASS),
        ([("g", {"b": "x"}), ("f", {"a": 1, "c": 7})], 1.0, PASS),
        ([("g", {"b": "x"}), ("f", {"a": 1, "c": 8})], 0.5, FAIL),
        ([("f", {"a": 1})], 0.5, FAIL),
        ([("f", {"a": 1}), ("f", {"a": 1})], 0.5, FAIL),
        ([("f", {"a": 1}), ("g", {"b": "x"}), ("g", {"b": "y"})], 2 / 3, FAIL),
        ([("f", {"a": 1}), ("g", {"b": "x"})] * 10, 0.1, FAIL),
        ([("f", {"a": 1}), ("g", {"b": "x", "z": 0})], 0.5, FAIL),
        ([("F", {"a": 1}), ("g", {"b": "x"})], 0.5, FAIL),
        ([("f", {}), ("g", {})], 0.0, FAIL),
    ],
)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_each_call_counts_once_and_extra_calls_cost(
    syntax: Callable[[Calls], str], calls: Calls, fraction: float, status: RewardStatus
):
    gold = problem({"f": {"a": [1], "c": [7, ""]}}, {"g": {"b": ["x"]}})
    part = function_calls(gold, syntax(calls), mode="fraction")
    assert (part.value, part.status) == (pytest.approx(fraction), status)
    exact = function_calls(gold, syntax(calls))
    assert (exact.value, exact.status) == (float(fraction == 1.0), status)


def test_a_first_fit_that_blocks_a_later_call_does_not_count_against_it():
    gold = problem({"f": {"a": [1, 2]}}, {"f": {"a": [1]}})
    assert function_calls(gold, "[f(a=1), f(a=2)]").value == 1.0
    assert function_calls(gold, "[f(a=2), f(a=2)]", mode="fraction").value == 0.5


def test_the_matching_is_as_large_as_any_assignment():
    generator = random.Random(5)
    for _ in range(200):
        rows, columns = generator.randint(0, 5), generator.randint(0, 5)
        fits = [[generator.random() < 0.4 for _ in range(columns)] for _ in range(rows)]
        size = max(rows, columns)
        best = max(
            (
                sum(row < rows and column < columns and fits[row][column] for row, column in enumerate(order))
                for order in itertools.permutations(range(size))
            ),
            default=0,
        )
        assert maximum_matching(fits) == best


@pytest.mark.parametrize(
    ("completion", "value", "status"),
    [
        ("None of these functions can help.", 1.0, PASS),
        ("", 1.0, PASS),
        ("[]", 1.0, PASS),
        ("[f(a=1)]", 0.0, FAIL),
        ('<tool_call>{"name": "h", "arguments": {}}</tool_call>', 0.0, FAIL),
        ('<tool_call>{"name": "f", "arguments": {}', 0.0, RewardStatus.UNPARSABLE),
        ("I could call f(a=1) for you.", 0.0, RewardStatus.UNPARSABLE),
    ],
)
def test_where_no_call_is_right_only_abstaining_is(completion: str, value: float, status: RewardStatus):
    for mode in ("fraction", "exact"):
        part = function_calls(problem(), completion, mode=mode)
        assert (part.value, part.status) == (value, status)


def test_where_a_call_is_wanted_abstaining_is_no_answer():
    gold = problem({"f": {"a": [1]}})
    assert function_calls(gold, "I cannot.").status is RewardStatus.NO_ANSWER
    assert function_calls(gold, "[f(a=1)").status is RewardStatus.UNPARSABLE
    assert function_calls(gold, python([("f", {"a": 1})] * 500), mode="fraction").value == 0.0


@pytest.mark.parametrize("truth", [None, "f(a=1)", {"functions": []}, {"calls": "f"}])
def test_a_ground_truth_without_calls_is_the_checkers_failure(truth: object):
    with pytest.raises(ValueError, match="ground_truth"):
        function_calls(Problem("p", "calls", (), truth), "[]")


def test_an_unknown_mode_is_the_users_mistake():
    with pytest.raises(ConfigError, match="mode"):
        function_calls(problem(), "[]", mode="partial")  # pyright: ignore[reportArgumentType]


def _chosen(accepted: Any) -> Any:
    """One concrete value of what the leaderboard accepts, optional entries left out where only that is accepted."""
    if isinstance(accepted, dict):
        return {
            name: _chosen(next(value for value in values if value != ""))
            for name, values in accepted.items()
            if any(value != "" for value in values)
        }
    return [_chosen(item) for item in accepted] if isinstance(accepted, list) else accepted


def _other(value: Any) -> Any:
    """A value that nothing accepts in place of `value`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value + 977_777
    if isinstance(value, str):
        return f"{value} zq"
    if isinstance(value, list):
        return [*value, "zq"]
    return {**value, "zq": 1} if isinstance(value, dict) else "zq"


def _public_problems(folder: Path) -> Iterator[tuple[Problem, Calls]]:
    for file in sorted((folder / "possible_answer").glob("*.jsonl")):
        if "multi_turn" in file.name:  # their answers are programs of calls against simulated services
            continue
        questions = [json.loads(line) for line in (folder / file.name).read_text(encoding="utf-8").splitlines()]
        functions = {row["id"]: row["function"] for row in questions}
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            truth = {"functions": functions[row["id"]], "calls": row["ground_truth"]}
            calls = [(name, _chosen(arguments)) for call in row["ground_truth"] for name, arguments in call.items()]
            yield Problem(row["id"], "calls", (), truth), calls


def _mutations(calls: Calls) -> Iterator[Calls]:
    name, arguments = calls[0]
    rest = calls[1:]
    yield [(f"{name}_zq", arguments), *rest]
    yield [(name, {**arguments, "zq": 1}), *rest]
    yield [*calls, calls[-1]]
    if rest:
        yield rest
    for key, value in arguments.items():
        yield [(name, {**arguments, key: _other(value)}), *rest]


def test_public_answers_pass_in_every_syntax_and_mutated_ones_fail(shared_data: Path):
    count = 0
    for gold, calls in _public_problems(shared_data / "bfcl"):
        count += 1
        for syntax in SYNTAXES:
            assert function_calls(gold, syntax(calls)).value == 1.0, (gold.id, syntax(calls))
            assert function_calls(gold, syntax(calls[::-1]), mode="fraction").value == 1.0, gold.id
        for mutated, syntax in zip(_mutations(calls), itertools.cycle(SYNTAXES)):
            assert function_calls(gold, syntax(mutated)).value == 0.0, (gold.id, syntax(mutated))
            assert function_calls(gold, syntax(mutated), mode="fraction").value < 1.0
        assert function_calls(gold, "I cannot do that.").status is RewardStatus.NO_ANSWER
    assert count > 1000


def test_public_irrelevant_questions_want_no_call(shared_data: Path):
    for line in (shared_data / "bfcl" / "BFCL_v4_irrelevance.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        gold = Problem(row["id"], "calls", (), {"functions": row["function"], "calls": []})
        assert function_calls(gold, "None of the functions on offer can answer this.").value == 1.0
        for syntax in SYNTAXES:
            assert function_calls(gold, syntax([(row["function"][0]["name"], {})])).value == 0.0
