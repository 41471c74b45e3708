# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
from collections import Counter

import numpy as np
import pytest

from grpo_jax.sampling.compaction import plan_compaction, smaller_shapes


def test_the_chain_of_shapes_drops_lanes_of_a_slot_first_and_halves_each_time() -> None:
    assert smaller_shapes(16, 6) == [(16, 3), (16, 1), (8, 1)]


def test_no_shape_is_so_small_that_weights_are_all_that_a_step_reads() -> None:
    assert smaller_shapes(4, 8) == [(4, 4), (4, 2)]
    assert smaller_shapes(8, 1) == []
    assert smaller_shapes(1, 1) == []


@pytest.mark.parametrize("num_shards", [1, 2, 4])
def test_every_live_lane_moves_once_and_stays_on_its_shard(num_shards: int) -> None:
    rng = np.random.default_rng(num_shards)
    num_plans = 0
    for share in (0.05, 0.2, 0.4):
        live = rng.random((16, 8)) < share
        waiting = live.any(axis=1) & (rng.random(16) < 0.3)
        plan = plan_compaction(live, waiting, num_shards)
        if plan is None:
            continue
        num_plans += 1
        assert 2 * plan.live.size <= live.size
        shard = np.arange(len(plan.slot_index)) // (len(plan.slot_index) // num_shards)
        old_slot = plan.slot_index + shard * (16 // num_shards)
        moved = [(old_slot[n], plan.lane_index[n, c]) for n, c in zip(*np.nonzero(plan.live), strict=True)]
        assert sorted(moved) == sorted(zip(*np.nonzero(live), strict=True))
        refilled = Counter(old_slot[plan.refilled].tolist())
        assert refilled == Counter(np.flatnonzero(waiting).tolist())
    assert num_plans


def test_a_prompt_with_many_lanes_takes_several_slots() -> None:
    live = np.zeros((8, 8), bool)
    live[3, :5] = True
    plan = plan_compaction(live, np.zeros(8, bool), 1)
    assert plan is not None
    assert plan.live.shape == (8, 1)
    assert plan.slot_index[:5].tolist() == [3] * 5
    assert plan.lane_index[:5, 0].tolist() == [0, 1, 2, 3, 4]
    assert plan.live[:, 0].tolist() == [True] * 5 + [False] * 3


def test_a_batch_more_than_half_alive_stays_as_it_is() -> None:
    assert plan_compaction(np.ones((4, 4), bool), np.zeros(4, bool), 1) is None
