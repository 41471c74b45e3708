# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How long a run takes to its first step with an empty compile cache, and with what that start left there.

Both starts are processes of their own that train one step in a fresh run's folder; the figures are wall seconds from
the start of the process to the end of its first step, its imports among them, and CPU seconds of the same, which hold
where other programs share the machine. Then the run is killed.

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

FIRST_STEP = re.compile(r"first step done .*")


def main(argv: Sequence[str] | None = None) -> int:
    """Start a run twice, print both starts and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="path of the experiment's Python file")
    arguments, overrides = parser.parse_known_args(argv)
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("cold", "warm"):
            words = [f"output_dir={folder}/{kind}", f"parallel.compile_cache={folder}/cache", "training.max_steps=1"]
            words += ["checkpoint.every_steps=0", "evaluation.every_steps=0", *overrides]
            seconds[kind], cpu, line = _start([arguments.config, *words])
            print(f"{kind}: {seconds[kind]:.1f} s, {cpu:.1f} CPU s; {line}", flush=True)
    print(f"warm / cold: {seconds['warm'] / seconds['cold']:.2f}")
    return 0


def _start(words: Sequence[str]) -> tuple[float, float, str]:
    """Wall seconds to the end of the first step, CPU seconds of the same, and the log's line about it."""
    start, used = time.perf_counter(), _cpu_seconds()
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
        if found := FIRST_STEP.search(line):
            seconds = time.perf_counter() - start
            process.kill()
            break
    process.wait()
    process.stdout.close()
    if found is None:
        raise SystemExit("".join(shown))
    return seconds, _cpu_seconds() - used, found.group()


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
