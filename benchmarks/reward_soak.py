# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The reward workers under 10,000 mixed completions, 1 % of them hostile and 1 % endless.

    python -m benchmarks.reward_soak [--tasks 10000] [--workers 2] [--seed 0]

Every completion has statuses that are right for it; each ticket is collected in order, a step's worth at a time, while
the next step's wait in the queue. Printed as JSON: results lost, untyped, wrong (first examples on stderr) and invalid;
completions a second; resident memory of this process and of its workers after the first tenth and at the end; processes
left behind. The exit code is 1 where anything is lost, untyped, wrong or left behind.
"""

import argparse
import collections
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.soak_workload import Task, count_by_kind, domains, make_tasks
from grpo_jax.config import RewardsConfig
from grpo_jax.records import Reward, RewardStatus
from grpo_jax.rewards.pool import RewardPool

STEP = 250
_EXAMPLES = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sandbox", default="auto", choices=("auto", "bubblewrap", "landlock"))
    arguments = parser.parse_args(argv)
    settings = RewardsConfig(workers=arguments.workers, cpu_seconds=1.5, timeout_seconds=6.0, sandbox=arguments.sandbox)
    with tempfile.TemporaryDirectory() as folder:
        found = soak(make_tasks(arguments.tasks, Path(folder), arguments.seed), settings)
    print(json.dumps(found, indent=2))
    return int(any(found[name] for name in ("lost", "untyped", "wrong", "left_behind")))


def soak(tasks: Sequence[Task], settings: RewardsConfig) -> dict[str, Any]:
    """Score all tasks and compare each reward with what is right for its completion."""
    rewards: list[Reward] = []
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    memory: list[dict[str, float]] = []
    with RewardPool(domains(), settings) as pool:
        start = time.perf_counter()
        waiting: collections.deque[list[int]] = collections.deque()
        for first in range(0, len(tasks), STEP):
            step = tasks[first : first + STEP]
            waiting.append([pool.submit(task.problem, task.completion) for task in step])
            if len(waiting) == 2:
                rewards.extend(pool.collect(waiting.popleft()))
            if not memory and first >= len(tasks) // 10:
                memory.append(_resident())
        while waiting:
            rewards.extend(pool.collect(waiting.popleft()))
        seconds = time.perf_counter() - start
        memory.append(_resident())
        statistics = pool.statistics()
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    wrong = [(task, reward) for task, reward in zip(tasks, rewards, strict=False) if reward.status not in task.allowed]
    for task, reward in wrong[:_EXAMPLES]:
        print(f"{task.kind}: {reward.status} ({reward.reason}) for {task.completion[-120:]!r}", file=sys.stderr)
    names = ("retries", "lost_workers", "restarts", "recycled", "check_p50_seconds", "check_p95_seconds")
    return {
        "tasks": count_by_kind(tasks),
        "lost": len(tasks) - len(rewards),
        "untyped": sum((reward.total is None) != (reward.status is RewardStatus.INVALID) for reward in rewards),
        "wrong": len(wrong),
        "statuses": collections.Counter(str(reward.status) for reward in rewards),
        "seconds": round(seconds, 1),
        "completions_per_second": round(len(tasks) / seconds, 1),
        "resident_megabytes_after_a_tenth": memory[0],
        "resident_megabytes_at_the_end": memory[-1],
        "pool": {name: round(statistics[name], 5) for name in names},
        "left_behind": len(left),
    }


def _resident() -> dict[str, float]:
    """Of this process, and the mean of its direct children: the workers and the spare."""
    own = psutil.Process()
    children = [child.memory_info().rss for child in own.children()]
    mean = sum(children) / max(len(children), 1)
    return {"trainer": round(own.memory_info().rss / 2**20, 1), "worker_mean": round(mean / 2**20, 1)}


if __name__ == "__main__":
    sys.exit(main())
