# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The rewards `planning`, by outcome class, and `planning_dense`, which neither padding nor cutting a plan inflates."""

from grpo_jax.pddl.execution import Execution, Outcome
from grpo_jax.records import PartScore, Problem, RewardStatus
from grpo_jax.rewards.planning.judgement import Judgement, judge

MAX_STEPS = 1000
"""Default limit on the length of a plan; a longer one is unreadable."""


def _without_execution(judgement: Judgement, value: float) -> PartScore:
    return PartScore(value, RewardStatus.NO_ANSWER if judgement.verdict == "empty" else RewardStatus.UNPARSABLE)


def planning_reward(
    problem: Problem,
    completion: str,
    *,
    success: float = 1.0,
    goals_missing: float = -0.4,
    goals_missing_span: float = 0.3,
    precondition_violated: float = -0.6,
    precondition_violated_span: float = 0.3,
    constraint_violated: float = -0.9,
    constraint_violated_span: float = 0.3,
    unreadable: float = -1.0,
    max_steps: int = MAX_STEPS,
) -> PartScore:
    """Score by the class of the outcome, in [-1, 1] by default.

    The first violation in the plan's order decides. Progress is the number of the step that violates, counted from 1,
    relative to the length of the reference plan, at most 1.

    Args:
        problem: Its ground truth names the PDDL files.
        completion: Decoded text of the assistant's turn.
        success: Value of a valid plan.
        goals_missing: Value of a plan that runs to its end with no goal satisfied.
        goals_missing_span: Added x satisfied goals / all goals.
        precondition_violated: Value of a plan with a step whose precondition does not hold.
        precondition_violated_span: Added x progress.
        constraint_violated: Value of a plan that breaks a constraint of the problem.
        constraint_violated_span: Added x progress.
        unreadable: Value where no plan is found, or what is found is none.
        max_steps: Longer plans are unreadable.

    Returns:
        The status is pass, fail, no_answer (no step in the completion) or unparsable.

    Raises:
        ConfigError: The ground truth or one of its files cannot be used.
    """
    judgement = judge(problem, completion, max_steps)
    execution = judgement.execution
    if execution is None:
        return _without_execution(judgement, unreadable)
    progress = min(1.0, execution.step / judgement.reference_steps)
    match execution.outcome:
        case Outcome.VALID:
            return PartScore(success, RewardStatus.PASS)
        case Outcome.GOALS_MISSING:
            value = goals_missing + goals_missing_span * execution.goals_at_end / execution.goals
        case Outcome.PRECONDITION_VIOLATED:
            value = precondition_violated + precondition_violated_span * progress
        case Outcome.CONSTRAINT_VIOLATED:
            value = constraint_violated + constraint_violated_span * progress
    return PartScore(value, RewardStatus.FAIL)


def goal_progress(execution: Execution) -> float:
    """Goals won beyond those that hold at the start, as a share of what was to be won, in [0, 1].

    A goal that was lost counts against one that was won.
    """
    missing = execution.goals - execution.goals_at_start
    return max(0.0, (execution.goals_at_end - execution.goals_at_start) / missing) if missing else 0.0


def planning_dense_reward(
    problem: Problem,
    completion: str,
    *,
    success: float = 1.0,
    progress_weight: float = 0.8,
    no_progress: float = -0.1,
    stopped: float = -0.9,
    executed_weight: float = 0.4,
    stopped_progress_weight: float = 0.4,
    unreadable: float = -1.0,
    max_steps: int = MAX_STEPS,
) -> PartScore:
    """Score by the progress towards the goals, in [-1, 1] by default.

    A plan that runs to its end scores by the state that it reaches alone, so steps that change nothing cannot help it.
    A plan that stops at a violation scores below 0, and at most what it would score if it ended just before that step.
    The executed fraction in it is the shortest way among the states that the plan went through, relative to the length
    of the reference plan, at most 1: neither going in circles nor what is written behind the violation changes it
    (where there is no reference plan, the plan's own length stands in). Only a valid plan reaches `success`.

    Args:
        problem: Its ground truth names the PDDL files.
        completion: Decoded text of the assistant's turn.
        success: Value of a valid plan.
        progress_weight: x goal progress, for a plan that runs to its end with some.
        no_progress: Value of a plan that runs to its end without any.
        stopped: Value of a plan stopped at once by a precondition or a constraint.
        executed_weight: Added x executed fraction.
        stopped_progress_weight: Added x goal progress at the stop.
        unreadable: Value where no plan is found, or what is found is none.
        max_steps: Longer plans are unreadable.

    Returns:
        The status is pass, fail, no_answer (no step in the completion) or unparsable.

    Raises:
        ConfigError: The ground truth or one of its files cannot be used.
    """
    judgement = judge(problem, completion, max_steps)
    execution = judgement.execution
    if execution is None:
        return _without_execution(judgement, unreadable)
    progress = goal_progress(execution)
    match execution.outcome:
        case Outcome.VALID:
            return PartScore(success, RewardStatus.PASS)
        case Outcome.GOALS_MISSING:
            value = progress_weight * progress if progress else no_progress
        case Outcome.PRECONDITION_VIOLATED | Outcome.CONSTRAINT_VIOLATED:
            executed = min(1.0, execution.distance / judgement.reference_steps)
            value = stopped + executed_weight * executed + stopped_progress_weight * progress
    return PartScore(value, RewardStatus.FAIL)
