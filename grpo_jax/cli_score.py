# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""`grpo-jax score`: rewards of given completions, from file to file, without a model and without JAX."""

import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from grpo_jax.config import RunConfig
from grpo_jax.data.files import JsonlRows, open_file
from grpo_jax.data.schema import problem_from_row
from grpo_jax.records import ConfigError, Problem, Reward
from grpo_jax.rewards.phases import phase_of_step
from grpo_jax.rewards.pool import RewardPool

WINDOW_PER_WORKER = 64
"""Completions read ahead of the oldest that has no reward yet: what is in memory does not grow with the file."""
_SECONDS_BETWEEN_LINES = 10.0


def score_file(
    config: RunConfig, source: Path, output: Path, step: int | None = None, workers: int | None = None
) -> int:
    """Score the completions of a JSON Lines file.

    Args:
        config: Its domains, rewards and phases decide.
        source: Rows {"problem": {a row of the problem schema}, "completion": text}.
        output: Rows {"index", "domain", "status", "total", "parts", "seconds", "reason"} in the same order; `index`
            counts the rows of `source` from 0.
        step: Score as in this step of the run, counted from 1; None has every reward on.
        workers: In place of `rewards.workers`.

    Returns:
        Rows written.

    Raises:
        ConfigError: A row, the step or a reward is wrong. What was scored before a wrong row stays in the file.
    """
    if not config.domains:
        raise ConfigError("domains is empty; name a domain and its rewards")
    phase = None if step is None else phase_of_step(config.curriculum.phases, step, config.training.max_steps)
    if workers is not None:
        config = replace(config, rewards=replace(config.rewards, workers=workers))
    rows = open_file(str(source))
    if not isinstance(rows, JsonlRows):
        raise ConfigError(f"--input {source}: completions are read from a file that ends in .jsonl")
    if output.resolve() == source.resolve():
        raise ConfigError(f"--output {output} is the input; name another file")
    if len(rows):
        _read(rows, 0, config)  # before anything starts or is written
    with (
        RewardPool(config.domains, config.rewards, config.curriculum.phases) as pool,
        _writing(output) as file,
        _progress(len(rows)) as advance,
    ):
        window = WINDOW_PER_WORKER * max(1, int(pool.statistics()["workers_alive"]))
        pending: deque[tuple[int, str, int]] = deque()

        def write_oldest() -> None:
            index, domain, ticket = pending.popleft()
            (reward,) = pool.collect([ticket])
            file.write(json.dumps(_row(index, domain, reward), ensure_ascii=False, allow_nan=False) + "\n")
            advance()

        try:
            for index in range(len(rows)):
                problem, completion = _read(rows, index, config)
                if len(pending) == window:
                    write_oldest()
                pending.append((index, problem.domain, pool.submit(problem, completion, phase)))
        finally:
            # A wrong row ends the command, but not the rewards of the rows before it.
            if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
                while pending:
                    write_oldest()
    return len(rows)


def _read(rows: JsonlRows, index: int, config: RunConfig) -> tuple[Problem, str]:
    row, where = rows.row(index), rows.where(index)
    if not isinstance(row.get("problem"), dict):
        raise ConfigError(f"{where}: field problem must be a row of the problem schema")
    if not isinstance(row.get("completion"), str):
        raise ConfigError(f"{where}: field completion must be a string")
    problem = problem_from_row(row["problem"], rows.name(index), f"{where}: problem")
    if problem.domain not in config.domains:
        raise ConfigError(f"{where}: domain {problem.domain!r} is none of the config's: {', '.join(config.domains)}")
    return problem, row["completion"]


def _row(index: int, domain: str, reward: Reward) -> dict[str, Any]:
    return {
        "index": index,
        "domain": domain,
        "status": str(reward.status),
        "total": reward.total,
        "parts": dict(reward.parts),
        "seconds": round(reward.seconds, 6),
        "reason": reward.reason,
    }


@contextmanager
def _writing(output: Path) -> Iterator[TextIO]:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        file = output.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"--output {output}: {error.strerror}") from error
    with file:
        yield file


def _progress(total: int) -> AbstractContextManager[Any]:
    console = Console(stderr=True)
    return _bar(total, console) if console.is_terminal else _lines(total)


@contextmanager
def _bar(total: int, console: Console) -> Iterator[Any]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("scoring", total=total)
        yield lambda: progress.advance(task)


@contextmanager
def _lines(total: int) -> Iterator[Any]:
    """A line every ten seconds, and one at the end."""
    done, start = 0, time.monotonic()
    last = start

    def advance() -> None:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            print(f"scored {done} of {total}", file=sys.stderr, flush=True)

    yield advance
    rate = done / max(time.monotonic() - start, 1e-9)
    print(f"scored {done} of {total}, {rate:.0f} a second", file=sys.stderr, flush=True)
