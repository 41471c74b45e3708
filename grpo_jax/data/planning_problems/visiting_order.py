# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The order in which a vehicle that carries one load at a time serves its loads."""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

Place = TypeVar("Place")
_MAX_EXHAUSTIVE = 6


def visiting_order(
    start: Place, loads: Sequence[tuple[str, Place, Place]], distance: Callable[[Place, Place], int]
) -> list[tuple[str, Place, Place]]:
    """Order the loads for little travel: the least up to six loads, above that always the nearest next.

    Args:
        start: Where the vehicle is.
        loads: Name, place and goal of each.
        distance: Travel between two places.
    """
    if len(loads) > _MAX_EXHAUSTIVE:
        order, here, left = [], start, list(loads)
        while left:
            following = min(left, key=lambda load: distance(here, load[1]))
            left.remove(following)
            order.append(following)
            here = following[2]
        return order

    def travel(order: Sequence[tuple[str, Place, Place]]) -> int:
        return sum(
            distance(before, load[1])
            for before, load in zip([start, *(load[2] for load in order[:-1])], order, strict=True)
        )

    return list(min(itertools.permutations(loads), key=travel))
