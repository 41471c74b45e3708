# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Does an update take the memory that `grpo-jax plan` says?

    python -m benchmarks.update_memory --output memory.json

Measured: one update of all weights of SmolLM2-135M in float32 (random values, which memory does not depend on), 8
groups of 8 completions of up to 128 tokens after prompts of up to 128, with AdamW, in microbatches of 2,560 and 5,120
tokens. Each size runs in a process of its own: it compiles, notes what it holds, makes the state, runs two updates and
reads its peak.

- plan: what `plan` adds up for state and update.
- XLA: arguments and temporary memory of the compiled program, by the compiler's own account.
- process: the peak of the resident set (Linux: VmHWM, from /proc) above what was held before the state was made. On a
  GPU or TPU the allocator's own peak.
- largest logits: the largest array of tokens by ids in the compiled program; the head and its gradient, which have as
  many rows as there are ids, are none. Two of that size live at once at most.

The target is 20 % of the plan, and 100 MiB for the logits, whatever the batch.
"""

import argparse
import ctypes
import gc
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

from benchmarks.process_memory import MEBIBYTE, forget_peak, process_memory
from benchmarks.update_program import UpdateProgram, compile_update, random_inputs, random_state, update_config
from grpo_jax.bench.shapes import published_shape
from grpo_jax.config import ModelConfig, ParallelConfig, RunConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.objective.vocabulary_tiles import tile_shape
from grpo_jax.parallel.mesh import make_mesh

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "pred": 1, "s8": 1, "u8": 1}


def make_config(microbatch_tokens: int, remat: Any = "block") -> RunConfig:
    """The update that is measured."""
    return update_config(
        ModelConfig(dtype="float32", remat=remat),
        prompts=8,
        prompt_tokens=128,
        group_size=8,
        completion_tokens=128,
        microbatch_tokens=microbatch_tokens,
    )


def largest_logits_bytes(program: UpdateProgram, arch: Architecture) -> int:
    """The largest array of the compiled program with a dim of ids, whole or of a tile, that is no table of weights."""
    rows = program.plan.rows
    tokens, ids = tile_shape(rows.rows * rows.responses * rows.response_tokens, arch.vocab_size)
    largest = 0
    for kind, inside in set(re.findall(r"\b(\w+)\[([\d,]+)\]", program.compiled.as_text())):
        sizes = [int(size) for size in inside.split(",")]
        # Without the first dim of ones that loops and reshapes add; a table's rows are as wide as the model.
        dims = sorted(size for size in sizes if size > 1)
        of_ids = [size for size in dims if size in (ids, arch.vocab_size)]
        if of_ids and kind in _BYTES and arch.width not in dims:
            count = 1
            for size in dims:
                count *= size
            largest = max(largest, count * _BYTES[kind])
    return max(largest, 0 if largest else 4 * tokens * ids)


def measure(microbatch_tokens: int) -> dict[str, int]:
    """Figures of one size, in bytes; this process's own peak is among them."""
    arch, mesh = published_shape(MODEL), make_mesh(ParallelConfig(), jax.devices()[:1])
    program = compile_update(make_config(microbatch_tokens), arch, mesh)
    device = jax.devices()[0]
    gc.collect()
    # What compiling freed goes back first, or the update would live in it unseen.
    ctypes.CDLL(None).malloc_trim(0)
    forget_peak()
    before = process_memory()["VmRSS"]
    state, frozen = random_state(program.state), random_state(program.frozen)
    inputs = random_inputs(program, arch, mesh)
    for _ in range(2):
        state, output = program.compiled(state, frozen, inputs, program.terms)
        jax.block_until_ready(output)
    stats = device.memory_stats() or {}
    peak = stats.get("peak_bytes_in_use", 0) if device.platform != "cpu" else process_memory()["VmHWM"] - before
    return {
        "microbatch_tokens": microbatch_tokens,
        "plan": program.planned_bytes,
        "xla": program.compiled_bytes,
        "process": peak,
        "largest_logits": largest_logits_bytes(program, arch),
    }


def describe(figures: dict[str, int]) -> str:
    """One size on one line."""
    plan = figures["plan"]
    parts = [f"{figures['microbatch_tokens']:>6} tokens   plan {plan / MEBIBYTE:7.0f} MiB"]
    for name, label in (("xla", "XLA"), ("process", "process")):
        parts.append(f"{label} {figures[name] / MEBIBYTE:7.0f} MiB ({figures[name] / plan - 1:+.1%})")
    return "   ".join([*parts, f"largest logits {figures['largest_logits'] / MEBIBYTE:.1f} MiB"])


def main() -> None:
    """Measure each size in a process of its own, print, write."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--microbatch-tokens", type=int, nargs="+", default=[2560, 5120], help="sizes to measure")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--here", action="store_true", help="measure one size in this process and print JSON")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.microbatch_tokens[0])))
        return
    found = []
    for size in arguments.microbatch_tokens:
        words = [sys.executable, "-m", "benchmarks.update_memory", "--here", "--microbatch-tokens", str(size)]
        result = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        found.append(json.loads(result.stdout.splitlines()[-1]))
        print(describe(found[-1]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
