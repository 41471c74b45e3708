# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What does each policy of `model.remat` cost in time, and save in memory?

    python -m benchmarks.remat_policies --output policies.json

Measured: one update of all weights in float32 with AdamW, 8 groups of 8 completions of 128 tokens after prompts of
128, in one microbatch, with a model of 4 layers that is otherwise SmolLM2-135M. For each policy: XLA's account of the
compiled program's memory beside the figure of `plan`, the processor time of an update (of all threads, which
neighbours disturb least) and its wall time, medians of `--repeats` updates in turns after one to warm up.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jax

from benchmarks.process_memory import MEBIBYTE
from benchmarks.update_memory import MODEL, make_config
from benchmarks.update_program import compile_update, random_inputs, random_state
from grpo_jax.bench.shapes import published_shape
from grpo_jax.config import ParallelConfig
from grpo_jax.model_config import Remat
from grpo_jax.models.architecture import Architecture
from grpo_jax.parallel.mesh import make_mesh

POLICIES: tuple[Remat, ...] = get_args(Remat)
MICROBATCH_TOKENS = 16_384


def four_layers() -> Architecture:
    """SmolLM2's sizes with fewer layers."""
    return replace(published_shape(MODEL), num_layers=4, sliding_layers=())


def measure(arch: Architecture, microbatch_tokens: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Figures by policy: bytes and seconds."""
    mesh = make_mesh(ParallelConfig(), jax.devices()[:1])
    programs = {policy: compile_update(make_config(microbatch_tokens, policy), arch, mesh) for policy in POLICIES}
    first = programs["none"]
    state, inputs = random_state(first.state), random_inputs(first, arch, mesh)
    processor: dict[str, list[float]] = {policy: [] for policy in POLICIES}
    wall: dict[str, list[float]] = {policy: [] for policy in POLICIES}
    for _ in range(repeats + 1):
        for policy, program in programs.items():
            start, start_processor = time.perf_counter(), time.process_time()
            state, output = program.compiled(state, {}, inputs, program.terms)
            jax.block_until_ready(output)
            processor[policy].append(time.process_time() - start_processor)
            wall[policy].append(time.perf_counter() - start)
    return {
        policy: {
            "plan_bytes": program.planned_bytes,
            "xla_bytes": program.compiled_bytes,
            "processor_seconds": statistics.median(processor[policy][1:]),
            "seconds": statistics.median(wall[policy][1:]),
        }
        for policy, program in programs.items()
    }


def describe(figures: dict[str, dict[str, Any]]) -> str:
    """A table, each policy beside `none`."""
    lines = [f"{'remat':<10} {'XLA MiB':>8} {'plan MiB':>9} {'plan/XLA':>9} {'CPU s':>7} {'time':>6} {'memory':>7}"]
    none = figures["none"]
    for policy, own in figures.items():
        lines.append(
            f"{policy:<10} {own['xla_bytes'] / MEBIBYTE:8.0f} {own['plan_bytes'] / MEBIBYTE:9.0f} "
            f"{own['plan_bytes'] / own['xla_bytes']:9.2f} {own['processor_seconds']:7.2f} "
            f"{own['processor_seconds'] / none['processor_seconds']:6.2f} {own['xla_bytes'] / none['xla_bytes']:7.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="measured updates of each policy")
    parser.add_argument("--microbatch-tokens", type=int, default=MICROBATCH_TOKENS)
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    figures = measure(four_layers(), arguments.microbatch_tokens, arguments.repeats)
    print(describe(figures))
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
