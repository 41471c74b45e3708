# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `math` reward: is the completion's final answer the right one?

Compared in this order, the first that decides wins: the same text; one choice letter; exact numbers; groups item by
item; and only then sympy (`symbolic_math.py`). There is no tolerance: 0.333 is not 1/3. A number that the problem wants
is not accepted as a sum or product left to be worked out, because repeating the question would then be an answer.
"""

import re
from typing import Any

from grpo_jax.config import RewardsConfig
from grpo_jax.records import PartScore, Problem, RewardStatus
from grpo_jax.rewards import symbolic_math
from grpo_jax.rewards.exact_values import MAX_LENGTH, Group, Number, numbers_equal, read_group, read_number, split_unit
from grpo_jax.rewards.extraction import extract_answer
from grpo_jax.rewards.ground_truth import gold_texts
from grpo_jax.rewards.inequalities import interval_of
from grpo_jax.rewards.math_notation import comparison_key, normalise, split_assignment

_CHOICE_GOLD = re.compile(r"\(?([A-J])\)?")
_CHOICE = re.compile(r"\(?([A-J])(?:\)|[.:](?=\s))?(?:(?<=[).:])\s.*)?", re.DOTALL)
_UNWORKED = re.compile(r"[\d\s.,+\-*/^(){}%]+")
_BASE = re.compile(r"[+-]?[0-9A-F.]+_\{?\d+\}?")
_RELATION = re.compile(r"[<>]|\\[lg]eq|\\neq")
_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]+")
_MAX_SYMBOLIC_ITEMS = 12
_MAX_RAW_LENGTH = 10 * MAX_LENGTH


def _same_numbers(gold: Group, candidate: Group) -> bool | None:
    """Multiset equality of groups of plain numbers; None where some item is not one."""
    wanted, given = ([read_number(item) for item in group.items] for group in (gold, candidate))
    values = [[number.value for number in side if number and not number.percent] for side in (wanted, given)]
    if len(values[0]) < len(gold.items) or len(values[1]) < len(candidate.items):
        return None
    return sorted(values[0]) == sorted(values[1])


def _compare_groups(gold: Group, candidate: Group) -> RewardStatus:
    shapes = {gold.shape, candidate.shape}
    if gold.kind != candidate.kind or len(gold.items) != len(candidate.items):
        return RewardStatus.FAIL
    if len(shapes) > 1 and not shapes <= {"set", "list"}:
        return RewardStatus.FAIL
    if gold.kind == "ordered":
        statuses = []
        for wanted, given in zip(gold.items, candidate.items, strict=True):
            statuses.append(_compare_normal(wanted, given))
            if statuses[-1] != RewardStatus.PASS:
                return statuses[-1]
        return RewardStatus.PASS
    same = _same_numbers(gold, candidate)
    if same is not None:
        return RewardStatus.PASS if same else RewardStatus.FAIL
    if len(gold.items) > _MAX_SYMBOLIC_ITEMS:
        return RewardStatus.UNPARSABLE
    left = list(candidate.items)
    for wanted in gold.items:
        found = next((given for given in left if _compare_normal(wanted, given) == RewardStatus.PASS), None)
        if found is None:
            return RewardStatus.FAIL
        left.remove(found)
    return RewardStatus.PASS


def _is_interval(group: Group | None) -> bool:
    return group is not None and group.shape[0] in "([" and len(group.items) == 2


def _plain(normal: str, number: Number | None) -> str:
    """What sympy is given: an exact number as a fraction, anything else without its unit."""
    return split_unit(normal)[0] if number is None or number.percent else str(number.value)


def _compare_values(gold: str, candidate: str) -> RewardStatus:
    wanted, given = read_number(gold), read_number(candidate)
    if wanted and given and numbers_equal(wanted, given):
        return RewardStatus.PASS
    wanted_group, given_group = read_group(gold), read_group(candidate)
    if _is_interval(wanted_group) != _is_interval(given_group):
        gold, candidate = interval_of(gold) or gold, interval_of(candidate) or candidate
        wanted_group, given_group = read_group(gold), read_group(candidate)
    if wanted_group and given_group:
        return _compare_groups(wanted_group, given_group)
    if (wanted and given) or (wanted and given_group) or (wanted_group and given):
        return RewardStatus.FAIL
    if isinstance(wanted, Number) and _UNWORKED.fullmatch(candidate):
        return RewardStatus.FAIL
    if bool(_RELATION.search(gold)) != bool(_RELATION.search(candidate)) and (wanted or given):
        return RewardStatus.FAIL
    if _BASE.fullmatch(gold) or _BASE.fullmatch(candidate):
        return RewardStatus.FAIL
    if _WORDS.fullmatch(gold):
        return RewardStatus.FAIL
    return symbolic_math.compare_symbolic(_plain(gold, wanted), _plain(candidate, given))


def _compare_normal(gold: str, candidate: str) -> RewardStatus:
    if gold and comparison_key(gold) == comparison_key(candidate):
        return RewardStatus.PASS
    if len(candidate) > MAX_LENGTH:
        return RewardStatus.UNPARSABLE
    letter = _CHOICE_GOLD.fullmatch(gold)
    if letter:
        chosen = _CHOICE.fullmatch(candidate)
        return RewardStatus.PASS if chosen and chosen.group(1) == letter.group(1) else RewardStatus.FAIL
    gold_name, gold_value = split_assignment(gold)
    name, value = split_assignment(candidate)
    if gold_name and name and gold_name != name:
        return RewardStatus.FAIL
    worked = "=" in candidate and not name and not _RELATION.search(candidate) and read_group(candidate) is None
    if worked and "=" not in gold:
        value = candidate.rpartition("=")[2].strip()  # a worked line such as `3 + 4 = 7` states its last side
    if gold_name and not name and "=" in candidate:  # `2y = x` is to be judged as an equation, not by its last side
        gold_value = gold
    if (gold_value, value) != (gold, candidate) and comparison_key(gold_value) == comparison_key(value):
        return RewardStatus.PASS
    return _compare_values(gold_value, value)


def compare_answers(gold: str, candidate: str) -> RewardStatus:
    """Compare two answers as people write them.

    Args:
        gold: The right answer.
        candidate: The answer to judge.

    Returns:
        PASS, FAIL, UNPARSABLE (not readable as an answer) or TIMEOUT (sympy gave up).
    """
    if len(candidate) > _MAX_RAW_LENGTH:
        return RewardStatus.PASS if candidate.strip() == gold.strip() else RewardStatus.UNPARSABLE
    return _compare_normal(normalise(gold), normalise(candidate))


def accepted_answers(ground_truth: Any) -> list[str]:
    """The accepted answers of a problem, taken out of the box or from behind the `####` that some datasets keep.

    Raises:
        ValueError: The ground truth is not text, a number or a list of them.
    """
    golds = []
    for text in gold_texts(ground_truth):
        marked = extract_answer(text) if "\\boxed" in text or "####" in text else None
        golds.append(marked.text if marked else text)
    return golds


def _score(problem: Problem, completion: str, *, last_number: bool) -> PartScore:
    golds = accepted_answers(problem.ground_truth)
    answer = extract_answer(completion, last_number=last_number)
    if answer is None:
        return PartScore(0.0, RewardStatus.NO_ANSWER)
    statuses = [compare_answers(gold, answer.text) for gold in golds]
    short = _short_form(answer.text)
    if RewardStatus.PASS in statuses:
        return PartScore(1.0, RewardStatus.PASS, short)
    return PartScore(0.0, statuses[0], short)


def _short_form(answer: str) -> str:
    """The answer as votes count it: a number by its exact value, anything else by its normal notation."""
    if len(answer) > MAX_LENGTH:
        return answer
    normal = normalise(answer)
    number = read_number(normal)
    return comparison_key(normal) if number is None or number.percent else str(number.value)


def math_reward(problem: Problem, completion: str) -> PartScore:
    """Score the final answer: 1.0 when it equals `ground_truth` (or any of a list), else 0.0."""
    return _score(problem, completion, last_number=False)


def math_last_number_reward(problem: Problem, completion: str) -> PartScore:
    """As `math_reward`, but take the last number where the completion marks no answer; for models without a format."""
    return _score(problem, completion, last_number=True)


def warm_up(settings: RewardsConfig) -> None:
    """Pay for imports before the first sample is timed."""
    symbolic_math.warm_up()
