# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Counts of how rollouts ended, and sizes of those that there are."""

from dataclasses import replace

import numpy as np

from grpo_jax.config import Domain, RunConfig
from grpo_jax.records import RolloutEnd
from grpo_jax.training.rollout_metrics import rollout_metrics
from tests.fakes.groups import make_group

CONFIG = RunConfig(domains={"game": Domain(rollout="guess_number", rewards={}), "plain": Domain()})


def test_every_end_is_counted_and_failures_have_no_size():
    group = make_group([1], [[2, 3, 4, 5], [2, 3], [2]], [1.0, 0.0, None], domain="game")
    turns = [[0, -1, -1, 1], [0, 0], [-1]]
    ends = [RolloutEnd.TURN_LIMIT, RolloutEnd.DONE, RolloutEnd.RAISED]
    rollouts = tuple(
        replace(rollout, completion=replace(rollout.completion, turns=np.array(own, np.int32)), end=end)
        for rollout, own, end in zip(group.rollouts, turns, ends, strict=True)
    )
    metrics = rollout_metrics([replace(group, rollouts=rollouts), make_group([1], [[2]], [1.0])], CONFIG)
    counts = {name: metrics.pop(f"rollout/game/{name}") for name in RolloutEnd}
    assert counts == {own: float(ends.count(own)) for own in RolloutEnd}
    assert metrics == {
        "rollout/game/turns": 1.5,
        "rollout/game/turns_max": 2.0,
        "rollout/game/environment_tokens": 1.0,
    }
