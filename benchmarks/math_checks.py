# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How many math answers do the reward workers check in a second?

    python -m benchmarks.math_checks --gsm8k GSM8K/train.jsonl --math MATH/train.jsonl

Measured: the `math` reward through a `RewardPool`, from the first `submit` to the last `collect`, workers already warm.
Completions are the datasets' own solutions with their marked answer taken out and one marked at the end: in turns the
gold as it stands, the gold in another notation, the gold of another row, and the gold plus one. GSM8K wants whole
numbers; MATH wants expressions, which the fast path leaves to sympy where they are none of its kinds.

Left out: starting the workers (seconds, once a run). Every answer is another text, but golds come up again, as they do
in groups of completions; parsed golds stay in a worker's cache.
"""

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grpo_jax.config import Domain, RewardsConfig
from grpo_jax.records import Problem
from grpo_jax.rewards.extraction import extract_answer
from grpo_jax.rewards.pool import RewardPool


@dataclass(frozen=True, slots=True)
class Row:
    """A solution without its answer, and the answer."""

    gold: str
    solution: str


def read_rows(path: Path) -> list[Row]:
    """Read GSM8K's or MATH's own JSON lines."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = row.get("solution", row.get("answer", ""))
        marked = extract_answer(text)
        if marked is not None:
            rows.append(Row(marked.text, text.partition("####")[0].replace("\\boxed", "")))
    return rows


def restyled(gold: str) -> str:
    """The same answer as others would type it."""
    if re.fullmatch(r"-?\d+", gold):
        return f"{int(gold):,}.00"
    spaced = re.sub(r"\\frac(?=\{)", r"\\dfrac", gold).replace("\\left", "").replace("\\right", "")
    return f"${spaced}$"


def tasks(rows: Sequence[Row], count: int, generator: random.Random) -> list[tuple[str, Problem, str]]:
    """(kind, problem, completion), `count` of them, the four kinds in turns."""
    made = []
    for index in range(count):
        row = rows[index % len(rows)]
        kind, answer = (
            ("same", row.gold),
            ("restyled", restyled(row.gold)),
            ("other row", generator.choice(rows).gold),
            ("plus one", f"{row.gold}+1"),
        )[index % 4]
        completion = f"{row.solution}\nThe answer is \\boxed{{{answer}}}"
        made.append((kind, Problem(f"{index}", "math", (), row.gold), completion))
    generator.shuffle(made)
    return made


def measure(rows: Sequence[Row], count: int, workers: int) -> tuple[float, Counter[tuple[str, str]]]:
    """Checks a second, and how often each (kind, status) came out."""
    work = tasks(rows, count, random.Random(0))
    settings = RewardsConfig(workers=workers, timeout_seconds=10.0)
    with RewardPool({"math": Domain(rewards={"math": 1.0})}, settings) as pool:
        start = time.perf_counter()
        rewards = pool.collect([pool.submit(problem, completion) for _, problem, completion in work])
        seconds = time.perf_counter() - start
    found = Counter((kind, reward.status.value) for (kind, *_), reward in zip(work, rewards, strict=True))
    return count / seconds, found


def main() -> None:
    """Measure each dataset that is given and print a line of figures and one of outcomes."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gsm8k", type=Path, help="the raw train.jsonl of GSM8K")
    parser.add_argument("--math", type=Path, help="the raw train.jsonl of MATH")
    parser.add_argument("--count", type=int, default=4000, help="checks of each dataset")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name, path in (("gsm8k", options.gsm8k), ("math", options.math)):
        if path is not None:
            rate, found = measure(read_rows(path), options.count, options.workers)
            print(f"{name}: {rate:,.0f} checks/s with {options.workers} workers")
            print("  " + ", ".join(f"{kind} {status} {number}" for (kind, status), number in sorted(found.items())))


if __name__ == "__main__":
    main()
