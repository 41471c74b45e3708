# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Completions on their way to a reward, asked after without waiting."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from grpo_jax.records import Reward
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.trajectory import Place


class Scores:
    """What this host scores, by place."""

    def __init__(self, pool: RewardPool):
        self._pool = pool
        self._queued: dict[Place, Future[tuple[str, int]]] = {}
        self._there: set[Place] = set()
        # One thread: decoding and a full queue of the pool hold up neither the device nor the order of submission.
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="completion-text")

    def put(self, place: Place, queue: Callable[[], tuple[str, int]]) -> None:
        """Have a completion scored; `queue` runs on a thread and returns its text and the pool's ticket."""
        self._queued[place] = self._texts.submit(queue)

    @property
    def num_awaited(self) -> int:
        """Rewards that `note` has not seen yet."""
        return len(self._queued) - len(self._there)

    def note(self, wait_seconds: float = 0.0) -> None:
        """Take note of rewards that have come; may wait so long for another one."""
        tickets = {
            own.result()[1]: place
            for place, own in self._queued.items()
            if place not in self._there and (wait_seconds or own.done())
        }
        self._there.update(tickets[ticket] for ticket in self._pool.scored(tickets, wait_seconds))

    def are_there(self, places: Iterable[Place]) -> bool:
        """Whether `note` has seen the reward of every one of the places that this host scores."""
        return all(place in self._there for place in places if place in self._queued)

    def take(self, places: Iterable[Place]) -> dict[Place, tuple[str, Reward]]:
        """Texts and rewards of those of the places that this host scores; waits for them."""
        texts = {place: self._queued[place].result() for place in places if place in self._queued}
        rewards = self._pool.collect([ticket for _, ticket in texts.values()])
        for place in texts:
            del self._queued[place]
        self._there.difference_update(texts)
        return {place: (text, reward) for (place, (text, _)), reward in zip(texts.items(), rewards, strict=True)}

    def drop(self, places: Iterable[Place]) -> None:
        """Give up the rewards of these places."""
        dropped = [self._queued.pop(place) for place in [*places] if place in self._queued]
        self._there.intersection_update(self._queued)
        self._pool.cancel([own.result()[1] for own in dropped if not own.cancelled() and not own.exception()])

    def close(self) -> None:
        """Give up everything."""
        self._texts.shutdown(cancel_futures=True)
        self.drop([*self._queued])
