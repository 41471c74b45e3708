# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How long a run takes to its first step with an empty compile cache, and with what that start left there.

Both starts are processes of their own that train one step in a fresh run's folder; the figures are wall seconds from
the start of the process to the end of its first step, its imports among them, and CPU seconds of the same, which hold
where other programs share the machine. Then the run is killed. The parts of each start follow each other without a gap;
sampling and update are the step's own work and, in a cold start, what it waits for of the programs that it runs.

Command: python -m benchmarks.start_up configs/quickstart.py
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from grpo_jax.tracking.metrics import read_metrics

FIRST_STEP = re.compile(r"first step done .*")
STEP_WRITTEN = re.compile(r"step 1/\d+ ")
LANDMARKS = {
    "imports and config": re.compile(r": loading "),
    "tokenizer and data": re.compile(r": prompt lengths in tokens"),
    "sampler traced, weights read": re.compile(r" M parameters$"),
}
"""Part of a start -> the line of the log that ends it."""
STEP_PARTS = {"drawing and serving": "draw", "sampling": "sampling", "rewards": "reward_wait", "update": "update"}
"""Part of the first step -> name of its metric."""


@dataclass(frozen=True)
class Start:
    """One start.

    Attributes:
        seconds: Wall time to the end of the first step.
        cpu_seconds: CPU time of the process and its workers until it was killed.
        line: The log's line about it.
        parts: Wall seconds of each part, in their order.
    """

    seconds: float
    cpu_seconds: float
    line: str
    parts: dict[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Start a run twice, print both starts with their parts, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="path of the experiment's Python file")
    arguments, overrides = parser.parse_known_args(argv)
    starts = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("cold", "warm"):
            words = [f"output_dir={folder}/{kind}", f"parallel.compile_cache={folder}/cache", "training.max_steps=1"]
            words += ["checkpoint.every_steps=0", "evaluation.every_steps=0", *overrides]
            start = starts[kind] = _start([arguments.config, *words], Path(folder, kind))
            print(f"{kind}: {start.seconds:.1f} s, {start.cpu_seconds:.1f} CPU s; {start.line}", flush=True)
    cold, warm = starts["cold"], starts["warm"]
    width = max(map(len, cold.parts))
    print(f"{'seconds':{width}}  {'cold':>6}  {'warm':>6}")
    for part in cold.parts:
        print(f"{part:{width}}  {cold.parts[part]:6.1f}  {warm.parts[part]:6.1f}")
    print(
        f"warm / cold: {warm.seconds / cold.seconds:.2f} of the time, {warm.cpu_seconds / cold.cpu_seconds:.2f} of CPU"
    )
    return 0


def _start(words: Sequence[str], output: Path) -> Start:
    """Start a run, kill it after its first step, and take its time."""
    begun, start, used = time.time(), time.perf_counter(), _cpu_seconds()
    process = subprocess.Popen(
        [sys.executable, "-m", "grpo_jax", "train", *words, "--resume", "never"],
        env={name: value for name, value in os.environ.items() if not name.startswith("JAX_PERSISTENT")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    shown, found, seconds = [], None, 0.0
    for line in process.stdout:
        shown.append(line)
        if done := FIRST_STEP.search(line):
            found, seconds = done, time.perf_counter() - start
        if found and STEP_WRITTEN.match(line):
            process.kill()
            break
    process.wait()
    process.stdout.close()
    if found is None:
        raise SystemExit("".join(shown))
    return Start(seconds, _cpu_seconds() - used, found.group(), _parts(output, begun, seconds))


def _parts(output: Path, begun: float, seconds: float) -> dict[str, float]:
    """Where the time of a start went, from the run's log and the metrics of its step."""
    (log,) = output.glob("*/log.txt")
    (row,) = read_metrics(log.with_name("metrics.jsonl"))
    parts, before, wanted = {}, begun, list(LANDMARKS.items())
    for line in log.read_text(encoding="utf-8").splitlines():
        if wanted and wanted[0][1].search(line):
            now = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()
            parts[wanted.pop(0)[0]] = now - before
            before = now
    of_step = {part: row[f"time/{name}_seconds"] for part, name in STEP_PARTS.items()}
    parts["learner, workers, initial state"] = begun + seconds - before - sum(of_step.values())
    return {**parts, **of_step}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
