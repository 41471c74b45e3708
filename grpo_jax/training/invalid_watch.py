# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Stops a run whose checkers fail: what they could not judge is noise that training would go on without."""

import collections
import math
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.config import RewardsConfig
from grpo_jax.records import RewardStatus, Rollout, RolloutGroup, RunStoppedError

WINDOW_STEPS = 20
_EXAMPLES = 5
_TEXT_CHARACTERS = 300


class TooManyInvalidError(RunStoppedError):
    """The share of completions whose checker failed is above its limit; the message ends with examples."""


class InvalidWatch:
    """The share of invalid completions in the last steps; part of the checkpoint."""

    def __init__(self, settings: RewardsConfig) -> None:
        self._max_step, self._max_mean = settings.max_invalid_step, settings.max_invalid_mean
        self._shares: collections.deque[float] = collections.deque(maxlen=WINDOW_STEPS)
        self._latest: list[str] = []  # examples of the latest step that had any

    def check(self, step: int, groups: Sequence[RolloutGroup]) -> None:
        """Note one step.

        Raises:
            TooManyInvalidError: More than `rewards.max_invalid_step` of this step's completions are invalid, or more
                than `rewards.max_invalid_mean` over the last 20 steps.
        """
        # A rollout function that failed is counted by its own metrics; no checker was asked.
        rollouts = [(group, rollout) for group in groups for rollout in group.rollouts if not rollout.end.failed]
        invalid = [pair for pair in rollouts if pair[1].reward.status is RewardStatus.INVALID]
        share = len(invalid) / max(len(rollouts), 1)
        self._shares.append(share)
        mean = math.fsum(self._shares) / len(self._shares)  # 20 x 0.02 is 0.4, which a plain sum misses
        if invalid:
            self._latest = _examples(invalid)
        if share > self._max_step:
            why = f"in step {step} the checkers failed on {share:.1%} of the completions, above "
            why += f"rewards.max_invalid_step={self._max_step}"
        elif len(self._shares) == WINDOW_STEPS and mean > self._max_mean:
            why = (
                f"in the {WINDOW_STEPS} steps up to {step} the checkers failed on {mean:.1%} of the completions, above "
            )
            why += f"rewards.max_invalid_mean={self._max_mean}"
        else:
            return
        raise TooManyInvalidError("\n".join([why, *self._latest]))

    def state(self) -> dict[str, Any]:
        """The shares of the last steps and the latest examples, as JSON values."""
        return {"shares": [*self._shares], "latest": self._latest}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._shares.clear()
        self._shares.extend(state["shares"])
        self._latest = [*state["latest"]]


def _examples(invalid: Sequence[tuple[RolloutGroup, Rollout]]) -> list[str]:
    """One completion for each of the commonest reasons."""
    by_reason: dict[str, list[tuple[RolloutGroup, Rollout]]] = {}
    for pair in invalid:
        by_reason.setdefault(pair[1].reward.reason, []).append(pair)
    lines = []
    for reason, own in sorted(by_reason.items(), key=lambda item: -len(item[1]))[:_EXAMPLES]:
        group, rollout = own[0]
        problem = group.prompt.problem
        lines.append(f"  {len(own)} x {reason}")
        lines.append(f"      problem {problem.id} of {problem.domain}: {rollout.text[:_TEXT_CHARACTERS]!r}")
    return lines
