# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How many trivial MBPP-like executions a second does the code reward manage, beside a fresh interpreter for each?

    python -m benchmarks.sandbox_speed [--seconds 5] [--parent-gigabytes 3] [--workers 2] [--repeats 3]

One completion with three asserts, scored in turn by

- `pool`: the reward pool with that many workers, from `submit` to the collected verdict;
- `python`: `python -c` on the same program and asserts, no isolation, that many at a time;
- `bubblewrap`: `python -c` in a bubblewrap of its own each;
- `python_bare` and `bubblewrap_bare`: the same with `-S`, which spares the interpreter a look for site packages.

The parent holds memory as a trainer does. The ways take turns within one process; shown is the median over repeats, and
ratios compare the ways of the same repeat.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from grpo_jax.config import Domain, RewardsConfig
from grpo_jax.records import Problem
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rewards.sandbox import bubblewrap
from grpo_jax.rewards.sandbox.interpreter_files import find_interpreter_files
from grpo_jax.rewards.sandbox.selection import select_backend

_SOLUTION = "def common(a, b):\n    return tuple(sorted(set(a) & set(b)))"
_TESTS = [
    "assert common((3, 4, 5), (5, 7, 4)) == (4, 5)",
    "assert common((1, 2), (3, 4)) == ()",
    "assert common((9, 8, 7), (7, 8, 9)) == (7, 8, 9)",
]
_BATCH = 64


def _rate(run_batch: Callable[[], int], seconds: float) -> float:
    """Executions a second over at least `seconds`."""
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        done += run_batch()
    return done / spent


def _through_pool(pool: RewardPool) -> int:
    completion = f"```python\n{_SOLUTION}\n```"
    problem = Problem("p", "code", (), {"kind": "asserts", "tests": _TESTS, "entry_point": "common"})
    rewards = pool.collect([pool.submit(problem, completion) for _ in range(_BATCH)])
    if not all(reward.total == 1.0 for reward in rewards):
        raise RuntimeError(f"the pool failed a right program: {[reward.status.value for reward in rewards]}")
    return len(rewards)


def _through_processes(command: list[str], threads: ThreadPoolExecutor) -> int:
    count = _BATCH // 4
    list(threads.map(lambda _: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={}), range(count)))
    return count


def measure(seconds: float, parent_gigabytes: float, workers: int, repeats: int) -> dict[str, object]:
    """Run all ways in turns.

    Returns:
        Rates in executions a second, and ratios of the pool to the other ways.
    """
    held = bytearray(b"\1") * int(parent_gigabytes * 1e9)
    program = "\n".join([_SOLUTION, *_TESTS])
    priority = ["nice", "-n", "5"]  # the reward workers' own, so that neighbours weigh on all ways alike
    python = str(find_interpreter_files().executable)
    plain, bare = [python, "-c", program], [python, "-S", "-c", program]
    commands = {
        "python": [*priority, sys.executable, "-c", program],
        "bubblewrap": [*priority, *bubblewrap.wrapped(plain, {})],
        "python_bare": [*priority, *bare],
        "bubblewrap_bare": [*priority, *bubblewrap.wrapped(bare, {})],
    }
    backend = select_backend("auto", acknowledged=False)
    rates: dict[str, list[float]] = {"pool": [], **{way: [] for way in commands}}
    settings = RewardsConfig(workers=workers)
    with (
        RewardPool({"code": Domain(rewards={"code": 1.0})}, settings) as pool,
        ThreadPoolExecutor(workers) as threads,
    ):
        for _ in range(repeats):
            rates["pool"].append(_rate(lambda: _through_pool(pool), seconds))
            for way, command in commands.items():
                rates[way].append(_rate(lambda command=command: _through_processes(command, threads), seconds))
    return {
        "backend": backend,
        "parent_gigabytes": round(len(held) / 1e9, 1),
        "workers": workers,
        "executions_per_second": {way: round(statistics.median(found), 1) for way, found in rates.items()},
        "pool_over": {
            way: round(statistics.median(ours / other for ours, other in zip(rates["pool"], found, strict=True)), 1)
            for way, found in rates.items()
            if way != "pool"
        },
    }


def main() -> None:
    """Parse the arguments, measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each way in each repeat")
    parser.add_argument("--parent-gigabytes", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
