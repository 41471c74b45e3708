# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How to fit the live lanes into a smaller batch when no prompt is waiting any more.

The batch shrinks along one chain of shapes, lanes a slot first and then slots, so that few programs are compiled. A
prompt whose live lanes exceed the new lanes a slot takes several slots, each with a copy of its keys and values.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32

SMALLEST_BATCH = 8
"""Lanes of one device below which a step costs the same: reading the weights is all of it."""

MOST_SMALLER_SHAPES = 3
"""Shapes that a batch shrinks to, each a decode program for every size of the caches."""


class Compaction(NamedTuple):
    """Arguments of `state.compact`; slots are counted within their shard."""

    slot_index: Int32[np.ndarray, " N"]
    lane_index: Int32[np.ndarray, "N C"]
    live: Bool[np.ndarray, "N C"]
    refilled: Bool[np.ndarray, " N"]


def smaller_shapes(num_slots: int, num_lanes: int) -> list[tuple[int, int]]:
    """Shapes (slots, lanes a slot) below the given one, each about half of the one before; slots of one shard.

    None has fewer than `SMALLEST_BATCH` lanes. Of long chains `MOST_SMALLER_SHAPES` are left, evenly spaced.
    """
    shapes: list[tuple[int, int]] = []
    while True:
        if num_lanes > 1:
            num_lanes //= 2
        else:
            num_slots = -(-num_slots // 2)
        if num_slots * num_lanes < SMALLEST_BATCH:
            kept = np.linspace(0, len(shapes) - 1, min(len(shapes), MOST_SMALLER_SHAPES)).round().astype(int)
            return [shapes[index] for index in kept]
        shapes.append((num_slots, num_lanes))


def plan_compaction(
    live: Bool[np.ndarray, "N C"], refilled: Bool[np.ndarray, " N"], num_shards: int
) -> Compaction | None:
    """The smallest shape of the chain that holds every live lane, or None where only the present one does.

    Args:
        live: Lanes that hold a sample that has not ended.
        refilled: Slots whose prompt has samples that no lane has taken up.
        num_shards: Parts that the slots are split into; none moves to another.
    """
    num_slots, num_lanes = live.shape
    counts = live.sum(axis=1).reshape(num_shards, -1)
    fitting = None
    for shape in smaller_shapes(num_slots // num_shards, num_lanes):
        if (-(-counts // shape[1])).sum(axis=1).max() <= shape[0]:
            fitting = shape
    if fitting is None:
        return None
    slots, lanes = fitting
    plan = Compaction(
        np.zeros((num_shards, slots), np.int32),
        np.zeros((num_shards, slots, lanes), np.int32),
        np.zeros((num_shards, slots, lanes), bool),
        np.zeros((num_shards, slots), bool),
    )
    by_shard = live.reshape(num_shards, -1, num_lanes), refilled.reshape(num_shards, -1)
    for shard, (own_live, own_refilled) in enumerate(zip(*by_shard, strict=True)):
        new = 0
        for old in np.flatnonzero(own_live.any(axis=1)):
            held = np.flatnonzero(own_live[old])
            for first in range(0, len(held), lanes):
                part = held[first : first + lanes]
                plan.slot_index[shard, new] = old
                plan.lane_index[shard, new, : len(part)] = part
                plan.live[shard, new, : len(part)] = True
                plan.refilled[shard, new] = own_refilled[old] and first == 0
                new += 1
    return Compaction(*(part.reshape(-1, *part.shape[2:]) for part in plan))
