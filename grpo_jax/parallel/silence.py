# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A process of the run that falls silent is named by the others, which end instead of waiting for it.

A connection that breaks tells of itself; a host that freezes or is cut off breaks none. So each process writes a beat
every so often into the key-value store that JAX keeps in process 0, the coordinator, and looks how long the others'
beats have stood still. JAX's own heartbeats do that too, but end the process from C++ with a stack trace and no host's
name, and Python cannot step in between; `join_processes` has them wait longer than this watch.
"""

import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import jax
from jax._src import distributed  # JAX shows its key-value store nowhere else

from grpo_jax.config import ParallelConfig
from grpo_jax.parallel.processes import START_AGAIN, LostProcessError, leave

logger = logging.getLogger(__name__)

_watches = itertools.count(1)
"""Of this process; all processes of a run count the same, and none reads the last words of an earlier run."""
_BEATS = 20
"""Least number of beats in `parallel.heartbeat_seconds`: a silence is found within two beats of its limit, and up to
eleven more are waited then, or half the limit for others that are ending; that is before JAX's own heartbeats, which
end a process after half the time they are given or later."""
_LONGEST_PERIOD_SECONDS = 2.0
_DONE, _FAILED, _LEFT = "done", "failed", "left"
"""Last words: the run's end; an error of this process's own; the loss of another process."""
_LAST_WORDS = (_DONE, _FAILED, _LEFT)
_ENDING = "ending"
"""Begins each beat of a process that has an error and is still closing what it opened."""


class Store(Protocol):
    """What is used of JAX's key-value store; calls raise JaxRuntimeError, or last, where it cannot be reached."""

    def key_value_set(self, key: str, value: str, allow_overwrite: bool = False) -> None:
        """Write one value."""
        ...

    def key_value_dir_get(self, key: str) -> list[tuple[str, str]]:
        """All keys in a folder, whole, with their values."""
        ...


@dataclass
class _Peer:
    name: str
    word: str = ""
    silent_seconds: float = 0.0


class Silence:
    """How long each other process has been silent, and what follows from it.

    Time counts only while this process runs: what passes while it is stopped, or its interpreter held by one long call,
    is nobody's silence, and neither is a jump of the clock.
    """

    def __init__(
        self,
        index: int,
        count: int,
        limit_seconds: float,
        address: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Everybody is heard of just now.

        Args:
            index: Number of this process.
            count: Processes of the run.
            limit_seconds: Silence after which a process counts as lost.
            address: Of the coordinator.
            clock: Seconds.
        """
        self.limit_seconds, self._address, self._clock = limit_seconds, address, clock
        self.period_seconds = min(limit_seconds / _BEATS, _LONGEST_PERIOD_SECONDS)
        self._peers = {other: _Peer(f"process {other}") for other in range(count) if other != index}
        self.failing = False
        """Whether this process ends by an error of its own: then another's end is its reason only after the limit."""
        self._unreached_seconds = 0.0
        self._looked = clock()
        self._lock = threading.Lock()

    def heard(self, beats: Mapping[int, str]) -> None:
        """Take in what the store holds.

        Args:
            beats: By process, a word and what to call the process; another word than before is a sign of life.
        """
        with self._lock:
            self._count()
            self._unreached_seconds = 0.0
            for other, peer in self._peers.items():
                word, _, name = beats.get(other, "").partition(" ")
                if word and word != peer.word:
                    peer.word, peer.name, peer.silent_seconds = word, name, 0.0

    def verdict(self) -> str | None:
        """One line where a process is lost; to be asked for once in a period."""
        with self._lock:
            self._count()
            return self._line()

    def all_over(self) -> bool:
        """Whether every other process has said its last word or is lost."""
        with self._lock:
            return all(
                peer.word in _LAST_WORDS or peer.silent_seconds >= self.limit_seconds for peer in self._peers.values()
            )

    def somebody_is_ending(self) -> bool:
        """Whether another process has an error and is closing what it opened."""
        with self._lock:
            return any(peer.word.startswith(_ENDING) for peer in self._peers.values())

    def _count(self) -> None:
        now = self._clock()
        passed = min(max(now - self._looked, 0.0), 2 * self.period_seconds)
        self._looked = now
        self._unreached_seconds += passed
        for peer in self._peers.values():
            peer.silent_seconds += passed

    def _line(self) -> str | None:
        limit = self.limit_seconds
        # An error is often everybody's: who has it too says so before another's is told.
        if failed := self._named(_FAILED, limit if self.failing else 2 * self.period_seconds):
            return f"{failed} stopped with an error; look at its log, then {START_AGAIN}"
        # Without the store nothing is known of any single process.
        reached = self._unreached_seconds <= limit / 2
        if reached and (silent := self._silent()):
            return (
                f"nothing was heard of {silent} for {limit:g} s (parallel.heartbeat_seconds): dead, frozen or "
                f"cut off from the network; {START_AGAIN}"
            )
        # Whom it lost is lost to this process a little later, as a rule.
        if left := self._named(_LEFT, limit if self.failing else 4 * self.period_seconds):
            return f"{left} ended because of the loss of another process; look at its log, then {START_AGAIN}"
        if self._unreached_seconds < limit or (0 in self._peers and self._peers[0].word == _DONE):
            return None
        name = self._peers[0].name if 0 in self._peers else "process 0"
        return (
            f"{name}, the coordinator at {self._address}, could not be reached for {limit:g} s "
            f"(parallel.heartbeat_seconds): dead, frozen or cut off from the network, unless this host is; "
            f"{START_AGAIN}"
        )

    def _silent(self) -> str:
        return " and ".join(
            peer.name
            for peer in self._peers.values()
            if peer.word not in _LAST_WORDS and peer.silent_seconds >= self.limit_seconds
        )

    def _named(self, word: str, seconds: float) -> str:
        """Who said a last word that long ago."""
        return " and ".join(
            peer.name for peer in self._peers.values() if peer.word == word and peer.silent_seconds >= seconds
        )


class Watch:
    """Two threads: one talks with the store, in which a call may last for ever; one counts and ends the process."""

    def __init__(
        self,
        store: Store,
        index: int,
        name: str,
        silence: Silence,
        leave: Callable[[int], None] = leave,
        number: int = 1,
    ) -> None:
        """Start to beat and to watch.

        Args:
            store: That of the run's coordinator.
            index: Number of this process; 0 keeps the store.
            name: What the others are to call it.
            silence: Counts for the others.
            leave: Ends the process with an exit code.
            number: Which watch of this process it is; watches of the same number hear each other.
        """
        self._store, self._index, self._name, self._silence, self._leave = store, index, name, silence, leave
        self._period = silence.period_seconds
        self._folder = f"grpo_jax/watch-{number}/beats"
        self._last_word = ""
        self._unwatched, self._closed, self._hurry = threading.Event(), threading.Event(), threading.Event()
        self._talker = threading.Thread(target=self._talk, name="beats", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="silence", daemon=True)
        self._talker.start()
        self._watcher.start()

    @contextmanager
    def noting_errors(self) -> Iterator[None]:
        """From an error in the block on, leave this process the time to close what it opened and to tell its reason."""
        try:
            yield
        except BaseException:
            self._silence.failing = True
            raise

    def close(self, error: BaseException | None = None) -> None:
        """Stop, with a last word to the others, who then wait no more for a beat.

        Args:
            error: What ended the run here; None where it came to its end.
        """
        self._unwatched.set()
        self._watcher.join()  # where it has found somebody lost, it ends the process
        word = _DONE if error is None else _LEFT if isinstance(error, LostProcessError) else _FAILED
        if word != _DONE and self._index == 0:
            self._last_word = word
            self._outlast_others()
        self._say_last(word, patience_seconds=_BEATS * self._period)

    def _talk(self) -> None:
        own, numbers, answered = f"{self._folder}/{self._index}", itertools.count(1), True
        while True:
            last = self._closed.is_set()
            try:
                beat = f"{_ENDING if self._silence.failing else ''}{next(numbers)}"
                self._store.key_value_set(own, f"{self._last_word or beat} {self._name}", allow_overwrite=True)
                beats = self._store.key_value_dir_get(self._folder)
                self._silence.heard({int(key.rpartition("/")[2]): value for key, value in beats})
                answered = True
            except jax.errors.JaxRuntimeError as error:
                if answered:
                    logger.warning("the coordinator does not answer: %s", str(error).partition("\n")[0])
                answered = False
            if last:
                return
            self._hurry.wait(self._period)
            self._hurry.clear()

    def _watch(self) -> None:
        while not self._unwatched.wait(self._period):
            if line := self._silence.verdict():
                logger.error("error: %s: %s", self._name, line)
                if self._index == 0:
                    self._outlast_others()
                else:
                    # The others find it too, before a connection that breaks here tells them less.
                    time.sleep(2 * self._period)
                self._say_last(_LEFT, patience_seconds=self._period)
                self._leave(1)
                return

    def _outlast_others(self) -> None:
        """Stay until they have read why this ends: JAX ends who still uses the store when process 0 does."""
        begin, over = time.monotonic(), False
        while not over:
            ending = self._silence.somebody_is_ending()
            if time.monotonic() - begin >= (self._silence.limit_seconds / 2 if ending else 10 * self._period):
                return
            over = self._silence.all_over()
            self._hurry.set()
            time.sleep(self._period / 4)

    def _say_last(self, word: str, patience_seconds: float) -> None:
        self._last_word = word
        self._closed.set()
        self._hurry.set()
        self._talker.join(patience_seconds)  # a call that lasts for ever ends with the process


@contextmanager
def watching_processes(settings: ParallelConfig) -> Iterator[AbstractContextManager[None]]:
    """For as long as the block lasts, end this process with one line where another one is silent for too long.

    `parallel.heartbeat_seconds` says how long; the exit code is that of a lost process. An error that leaves the block
    is told to the others, which end too.

    Yields:
        A context to enter once, inside of all that takes its time to close: from an error in it on, the errors of
        others, which are often the same, do not end this process before it has closed and told its own.
    """
    run = distributed.global_state
    if run.client is None or run.num_processes == 1:
        yield nullcontext()
        return
    silence = Silence(run.process_id, run.num_processes, settings.heartbeat_seconds, run.coordinator_address or "")
    # The coordinator counts processes in an order of its own, which need not be that of their devices.
    name = f"process {jax.process_index()} on {socket.gethostname()}"
    watch = Watch(run.client, run.process_id, name, silence, number=next(_watches))
    try:
        yield watch.noting_errors()
    except BaseException as error:
        watch.close(error)
        raise
    watch.close()
