# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Ended rollouts of functions as JSON values and arrays of one value a token, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from grpo_jax.records import Completion, RewardStatus, RolloutEnd
from grpo_jax.rollout.trajectory import Ended, Outcome, Place, Turn

Columns = tuple[np.ndarray, ...]
"""Ids, log-probabilities before and after the cuts, and versions, which are -1 where nothing was sampled."""


def row_of(ended: Ended) -> tuple[dict[str, Any], Columns]:
    """What `ended_of` makes the rollout of again, its place aside."""
    row: dict[str, Any] = {"end": ended.end.value, "reason": ended.reason}
    outcome = ended.outcome
    if outcome is None:
        none = np.zeros(0, np.float32)
        return row, (none.astype(np.int32), none, none, none.astype(np.int32))
    ids = outcome.turn.token_ids
    logprobs, truncated = np.zeros(len(ids), np.float32), np.zeros(len(ids), np.float32)
    versions = np.full(len(ids), -1, np.int32)
    turns = []
    for turn in outcome.turn.path():
        start, own = len(turn.context), turn.completion
        assert own.versions is not None, "the sampler tells of every token who sampled it"
        past = start + len(own.token_ids)
        logprobs[start:past], truncated[start:past] = own.sampler_logprobs, own.truncated_logprobs
        versions[start:past] = own.versions
        turns.append(
            {
                "start": start,
                "past": past,
                "finish_reason": own.finish_reason,
                "text": turn.text,
                "number": turn.number,
                "trained": turn.trained,
            }
        )
    row["outcome"] = {
        "turns": turns,
        "reward": None if outcome.reward is None else float(outcome.reward),
        "turn_rewards": [float(value) for value in outcome.turn_rewards],
        "parts": {name: float(value) for name, value in outcome.parts.items()},
        "status": outcome.status,
        "answer": outcome.answer,
        "detail": dict(outcome.detail),
        "end": outcome.end.value,
    }
    return row, (ids, logprobs, truncated, versions)


def ended_of(row: Mapping[str, Any], place: Place, columns: Columns) -> Ended:
    """The rollout that `row_of` told of."""
    end, own = RolloutEnd(row["end"]), row.get("outcome")
    if own is None:
        return Ended(place, end, reason=row["reason"])
    ids, logprobs, truncated, versions = columns
    last: Turn | None = None
    for turn in own["turns"]:
        sampled = slice(turn["start"], turn["past"])
        completion = Completion(
            ids[sampled], logprobs[sampled], turn["finish_reason"], truncated[sampled], versions[sampled]
        )
        last = Turn(ids[: turn["start"]], completion, turn["text"], turn["number"], last, turn["trained"])
    assert last is not None, "an outcome has a turn"
    outcome = Outcome(
        last,
        own["reward"],
        own["turn_rewards"],
        own["parts"],
        None if own["status"] is None else RewardStatus(own["status"]),
        own["answer"],
        own["detail"],
        RolloutEnd(own["end"]),
    )
    return Ended(place, end, outcome, row["reason"])
