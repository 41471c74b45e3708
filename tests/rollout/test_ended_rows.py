# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""An ended rollout outlives the process to the last token."""

import json

import numpy as np

from grpo_jax.records import Completion, RewardStatus, RolloutEnd
from grpo_jax.rollout.ended_rows import ended_of, row_of
from grpo_jax.rollout.trajectory import Ended, Outcome, Turn, as_completion


def sampled(*ids: int, version: int) -> Completion:
    logprobs = -np.arange(1.0, len(ids) + 1, dtype=np.float32)
    versions = np.full(len(ids), version, np.int32)
    return Completion(np.asarray(ids, np.int32), logprobs, "stop", logprobs / 2, versions)


def again(ended: Ended) -> Ended:
    row, columns = row_of(ended)
    return ended_of(json.loads(json.dumps(row)), ended.place, columns)


def test_a_trajectory_with_its_rewards():
    context = np.array([1, 2], np.int32)
    first = Turn(context, sampled(3, 4, version=5), "first", 0, None, trained=False)
    # The second one asked for is not of this trajectory.
    last = Turn(np.array([1, 2, 3, 4, 9], np.int32), sampled(6, version=7), "last", 2, first)
    outcome = Outcome(
        last, 1.5, [0.5], {"found": 1.0}, RewardStatus.FAIL, "six", {"steps": [1, 2]}, RolloutEnd.TURN_LIMIT
    )
    found = again(Ended((3, 1), RolloutEnd.TURN_LIMIT, outcome))
    assert found.outcome is not None
    for name in ("reward", "turn_rewards", "parts", "status", "answer", "detail", "end"):
        assert getattr(found.outcome, name) == getattr(outcome, name)
    assert (found.place, found.end, found.reason) == ((3, 1), RolloutEnd.TURN_LIMIT, "")
    for own, other in zip(found.outcome.turn.path(), last.path(), strict=True):
        assert (own.text, own.number, own.trained) == (other.text, other.number, other.trained)
        np.testing.assert_array_equal(own.token_ids, other.token_ids)
        np.testing.assert_array_equal(own.completion.versions, other.completion.versions)
    kept, wanted = as_completion(found.outcome.turn, 2), as_completion(last, 2)
    for name in ("token_ids", "sampler_logprobs", "truncated_logprobs", "versions", "turns"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(wanted, name))


def test_a_failure_with_its_reason():
    ended = Ended((0, 2), RolloutEnd.RAISED, reason="raised ValueError: no")
    assert again(ended) == ended
