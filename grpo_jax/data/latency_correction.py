# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the mix of finished rollouts on target where some domains take longer than others.

With asynchronous rollouts a domain of long completions arrives late, so that early batches hold too little of it; a
draw that looked at finished rollouts alone would then submit too much of it. Here what is in flight counts as well.
"""

from collections.abc import Mapping
from typing import Any

LEAST_FACTOR, GREATEST_FACTOR = 0.1, 10.0


class LatencyCorrection:
    """Factors on domain weights from what was submitted and what has finished.

    Args:
        targets: Domain -> weight that the mix should have, relative to the others, above 0.
    """

    def __init__(self, targets: Mapping[str, float]) -> None:
        total = sum(targets.values())
        self._targets = {name: weight / total for name, weight in targets.items()}
        self._in_flight = dict.fromkeys(targets, 0)
        self._finished = dict.fromkeys(targets, 0)

    def submit(self, domain: str, count: int = 1) -> None:
        """Rollouts of a domain were started."""
        self._in_flight[domain] += count

    def finish(self, domain: str, count: int = 1) -> None:
        """Rollouts of a domain arrived.

        Raises:
            ValueError: More arrive than were started.
        """
        if count > self._in_flight[domain]:
            raise ValueError(f"{count} rollouts of {domain} finish, {self._in_flight[domain]} are in flight")
        self._in_flight[domain] -= count
        self._finished[domain] += count

    def factor(self, domain: str) -> float:
        """Target share / actual share of finished and in-flight rollouts together, clamped to [0.1, 10].

        1 while nothing was submitted; the greatest factor for a domain of which nothing was.
        """
        total = sum(self._in_flight.values()) + sum(self._finished.values())
        if not total:
            return 1.0
        share = (self._in_flight[domain] + self._finished[domain]) / total
        if not share:
            return GREATEST_FACTOR
        return min(max(self._targets[domain] / share, LEAST_FACTOR), GREATEST_FACTOR)

    def weights(self) -> dict[str, float]:
        """Corrected weight of each domain for the next rollouts to submit; they sum to 1."""
        corrected = {name: target * self.factor(name) for name, target in self._targets.items()}
        total = sum(corrected.values())
        return {name: weight / total for name, weight in corrected.items()}

    def state(self) -> dict[str, Any]:
        """The finished counts, as JSON values. What is in flight is lost with its process and submitted again."""
        return {"finished": dict(self._finished)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` told."""
        self._finished = dict(state["finished"])
        self._in_flight = dict.fromkeys(self._finished, 0)
