# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of one domain's evaluated groups.

A completion whose checker failed says nothing about the policy and is left out of all figures but `invalid`; means are
over problems first, so that a problem with fewer judged completions weighs as much as any other.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from grpo_jax.config import EvaluationConfig
from grpo_jax.evaluation.estimators import bootstrap_interval, majority_at_k, pass_at_k, samples_to_report
from grpo_jax.records import RewardStatus, Rollout, RolloutGroup
from grpo_jax.rewards.exact_values import read_number
from grpo_jax.rewards.math_answer import accepted_answers
from grpo_jax.rewards.math_notation import normalise

NEAR = 0.1
"""Relative error up to which a numeric answer is partly right."""

UNREAD = (RewardStatus.NO_ANSWER, RewardStatus.UNPARSABLE)


def domain_figures(domain: str, groups: Sequence[RolloutGroup], settings: EvaluationConfig) -> dict[str, float]:
    """All figures of a domain under `eval/{domain}/`.

    Args:
        domain: Its name.
        groups: Its problems, at least one, each with the same number of completions.
        settings: Sizes of the intervals.

    Returns:
        `pass@k` for the k of `samples_to_report` (of problems with at least k judged completions), `maj@k` likewise
        where the domain's rewards read answers, `pass@1_low` and `pass@1_high`, `within_10_percent` where right
        answers are numbers, `format` (an answer could be read), `reward`, `part/{name}`, `length` and `truncated` (of
        those whose rollout function, where they have one, did not fail), `invalid`.

    Raises:
        RuntimeError: Every check of the domain failed.
    """
    judged = [found for group in groups if (found := [r for r in group.rollouts if r.reward.total is not None])]
    everything = [rollout for group in groups for rollout in group.rollouts]
    if not judged:
        reason = everything[0].reward.reason
        raise RuntimeError(f"every evaluated completion of {domain} was invalid, the first with {reason!r}")
    figures: dict[str, float] = {}
    voting = any(rollout.reward.answer is not None for own in judged for rollout in own)
    for k in samples_to_report(len(groups[0].rollouts)):
        enough = [own for own in judged if len(own) >= k]
        if not enough:
            continue
        figures[f"pass@{k}"] = float(np.mean([pass_at_k(len(own), _passed(own), k) for own in enough]))
        if voting and k > 1:
            figures[f"maj@{k}"] = float(np.mean([_majority(own, k) for own in enough]))
    shares = np.array([_passed(own) / len(own) for own in judged])
    figures["pass@1_low"], figures["pass@1_high"] = bootstrap_interval(
        shares, resamples=settings.bootstrap_resamples, confidence=settings.confidence
    )
    near = [value for group in groups if (value := _near(group)) is not None]
    if near:
        figures["within_10_percent"] = float(np.mean(near))
    figures["format"] = _mean_over(judged, lambda rollout: rollout.reward.status not in UNREAD)
    figures["reward"] = _mean_over(judged, lambda rollout: rollout.reward.total or 0.0)
    for name in judged[0][0].reward.parts:
        figures[f"part/{name}"] = _mean_over(judged, lambda rollout, name=name: rollout.reward.parts.get(name, 0.0))
    ended = [rollout.completion for rollout in everything if not rollout.end.failed]
    figures["length"] = float(np.mean([completion.num_sampled for completion in ended]))
    figures["truncated"] = float(np.mean([completion.finish_reason == "length" for completion in ended]))
    figures["invalid"] = 1 - sum(map(len, judged)) / len(everything)
    return {f"eval/{domain}/{name}": value for name, value in figures.items()}


def _passed(rollouts: Sequence[Rollout]) -> int:
    return sum(rollout.reward.status == RewardStatus.PASS for rollout in rollouts)


def _mean_over(judged: Sequence[Sequence[Rollout]], value: Callable[[Rollout], float]) -> float:
    return float(np.mean([np.mean([value(rollout) for rollout in own]) for own in judged]))


def _majority(rollouts: Sequence[Rollout], k: int) -> float:
    """All right answers are one candidate, in whatever form they were given."""
    passed = _passed(rollouts)
    wrong = Counter(r.reward.answer for r in rollouts if r.reward.status != RewardStatus.PASS)
    silent = wrong.pop(None, 0)
    return majority_at_k([*wrong.values()], passed, silent, k)


def _near(group: RolloutGroup) -> float | None:
    """Share of judged completions that are right or whose number is near a right one; None where none is a number."""
    golds = _right_numbers(group.prompt.problem.ground_truth)
    judged = [rollout for rollout in group.rollouts if rollout.reward.total is not None]
    if not golds or not judged:
        return None
    hits = 0
    for rollout in judged:
        given = read_number(normalise(rollout.reward.answer)) if rollout.reward.answer is not None else None
        close = given is not None and any(abs(given.value - gold) <= NEAR * abs(gold) for gold in golds)
        hits += rollout.reward.status == RewardStatus.PASS or close
    return hits / len(judged)


def _right_numbers(ground_truth: Any) -> list[Fraction]:
    """The accepted answers that are numbers; none where the ground truth has no answer in short form."""
    values = ground_truth if isinstance(ground_truth, list | tuple) else [ground_truth]
    if not values or not all(isinstance(value, str | int | float) and str(value).strip() for value in values):
        return []
    numbers = [read_number(normalise(text)) for text in accepted_answers([str(value) for value in values])]
    return [number.value for number in numbers if number is not None]
