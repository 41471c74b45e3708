# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `function_calls` reward: are the calls of a completion the right ones?

`ground_truth` is {"functions": [schemas], "calls": [{name: {argument: [accepted, ...]}}, ...]} in the terms of the
Berkeley Function-Calling Leaderboard: an empty string among the accepted values says that the argument may be left
out; objects hold lists of accepted values by key; no calls at all says that calling anything is wrong.

The rule: exact names; no unknown argument; a boolean is never a number, and 1 equals 1.0; strings agree up to letter
case and white space; lists are ordered. Calls may come in any order, and each counts for one right call at most, by a
maximum matching, because the first fit can be wrong where accepted values overlap.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from grpo_jax.records import ConfigError, PartScore, Problem, RewardStatus
from grpo_jax.rewards.calls.call_syntax import read_calls
from grpo_jax.rewards.calls.python_calls import Call, CallSyntaxError

_MAX_CALLS = 64
_LENIENT = str.maketrans(dict.fromkeys(",./-_*^'\"", ""))


def _plain(text: str, lenient: bool) -> str:
    folded = "".join(text.casefold().split())
    return folded.translate(_LENIENT) if lenient else folded


def same_value(wanted: Any, given: Any, *, lenient: bool = False) -> bool:
    """Whether a given value is a wanted one by the rule of the module; objects in `wanted` hold accepted values."""
    if isinstance(wanted, str) and isinstance(given, str):
        return _plain(wanted, lenient) == _plain(given, lenient)
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and same_arguments(wanted, given, lenient=lenient)
    if isinstance(wanted, (list, tuple)):
        if not isinstance(given, (list, tuple)) or len(wanted) != len(given):
            return False
        return all(same_value(left, right, lenient=lenient) for left, right in zip(wanted, given, strict=True))
    if isinstance(wanted, bool) or isinstance(given, bool) or wanted is None or given is None:
        return wanted is given
    return isinstance(wanted, (int, float)) and isinstance(given, (int, float)) and wanted == given


def same_arguments(wanted: Mapping[str, Any], given: Mapping[str, Any], *, lenient: bool = False) -> bool:
    """Whether every given argument is accepted and none that is needed is missing."""
    if not given.keys() <= wanted.keys():
        return False
    for name, accepted in wanted.items():
        values = accepted if isinstance(accepted, (list, tuple)) else [accepted]
        if name not in given:
            if values and "" not in values:
                return False
        elif not any(same_value(value, given[name], lenient=lenient) for value in values):
            return False
    return True


def maximum_matching(fits: Sequence[Sequence[bool]]) -> int:
    """The most rows that can be paired with a column of their own where `fits[row][column]`; by augmenting paths."""
    row_of: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in tried:
                tried.add(column)
                if column not in row_of or place(row_of[column], tried):
                    row_of[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(fits)))


def _gold(problem: Problem) -> tuple[list[tuple[str, Mapping[str, Any]]], set[str]]:
    """The right calls as (name, accepted values by argument), and the names on offer."""
    truth = problem.ground_truth
    if not isinstance(truth, Mapping) or not isinstance(truth.get("calls"), (list, tuple)):
        raise ValueError(
            "ground_truth must be {'functions': [...], 'calls': [{name: {argument: [accepted, ...]}}, ...]}"
        )
    calls = [(name, arguments) for call in truth["calls"] for name, arguments in call.items()]
    return calls, {str(function["name"]) for function in truth.get("functions") or ()} | {name for name, _ in calls}


def _right_calls(gold: Sequence[tuple[str, Mapping[str, Any]]], calls: Sequence[Call], lenient: bool) -> int:
    return maximum_matching(
        [
            [call.name == name and same_arguments(wanted, call.arguments, lenient=lenient) for call in calls]
            for name, wanted in gold
        ]
    )


def function_calls(
    problem: Problem,
    completion: str,
    *,
    mode: Literal["fraction", "exact"] = "exact",
    ignore_punctuation: bool = False,
) -> PartScore:
    """Score the calls that a completion makes.

    Args:
        problem: Its `ground_truth` as in the module's docstring.
        completion: Decoded text of the assistant's turn; `call_syntax` says how calls are written.
        mode: `fraction` gives right calls / max(right ones wanted, calls made), `exact` 1 or 0.
        ignore_punctuation: Compare strings without ,./-_*^ and quotes, as the leaderboard itself does.

    Returns:
        A value in [0, 1]; pass at 1, which no call earns where none is wanted; no_answer where a call is wanted and
        none is attempted; unparsable, worth 0 there too, where an attempt breaks the syntax.

    Raises:
        ConfigError: Another mode.
        ValueError: The ground truth has another form.
    """
    if mode not in ("fraction", "exact"):
        raise ConfigError(f"reward setting mode={mode!r} must be 'fraction' or 'exact'")
    gold, names = _gold(problem)
    try:
        calls = read_calls(completion, names)
    except CallSyntaxError:
        return PartScore(0.0, RewardStatus.UNPARSABLE)
    if len(calls) > max(_MAX_CALLS, 2 * len(gold)):
        return PartScore(0.0, RewardStatus.FAIL)
    if not calls and gold:
        return PartScore(0.0, RewardStatus.NO_ANSWER)
    if not gold:
        return PartScore(0.0, RewardStatus.FAIL) if calls else PartScore(1.0, RewardStatus.PASS)
    matched, most = _right_calls(gold, calls, ignore_punctuation), max(len(gold), len(calls))
    if matched == most:
        return PartScore(1.0, RewardStatus.PASS)
    return PartScore(matched / most if mode == "fraction" else 0.0, RewardStatus.FAIL)
