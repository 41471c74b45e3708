# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How large the report of a long run is, how long it takes to write, and how fast Chromium opens it.

Command: python -m benchmarks.report_size
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chromium import DESKTOP, PHONE, chromium, missing_chromium, open_page
from benchmarks.synthetic_run import write_synthetic_run
from grpo_jax.tracking.report import write_report


def main(argv: Sequence[str] | None = None) -> int:
    """Write a run and its report, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--completions", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=300, help="mean length of a completion (default 300)")
    parser.add_argument("--repeats", type=int, default=5, help="times that each page is opened (default 5)")
    parser.add_argument("--output", type=Path, help="folder to keep the run in (default: deleted)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.output or Path(scratch)
        run = write_synthetic_run(
            folder, "synthetic", steps=arguments.steps, completions=arguments.completions, words=arguments.words
        )
        texts = sum(path.stat().st_size for path in (run / "completions").iterdir())
        print(f"run: {arguments.steps} steps, {arguments.completions} completions, {texts / 1e6:.1f} MB of them")
        for draft in (True, False):
            start = time.perf_counter()
            page = write_report([run], draft=draft)
            kind = "draft, as a run writes it" if draft else "final, with its PNGs"
            print(f"{kind}: {time.perf_counter() - start:.2f} s, {page.stat().st_size / 1e6:.2f} MB")
        if reason := missing_chromium():
            print(f"not opened: {reason}")
            return 0
        with chromium() as driver:
            for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
                seconds = [open_page(driver, page, size) for _ in range(arguments.repeats)]
                print(f"opened, {name}: median {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
