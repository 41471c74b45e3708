# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which part of the device's arithmetic does an update reach?

    python -m benchmarks.update_mfu --output mfu.json

On an accelerator: all weights of Qwen3-0.6B and Qwen3-1.7B shapes (random values) in bfloat16, float32 masters, AdamW,
16 completions of 512 tokens after prompts of 256, microbatches of 16,384 tokens, for each policy of `model.remat` in
`--remat`; the peak is that of the device's data sheet (`grpo_jax/parallel/device_peaks.py`). Without one: two layers of
width 256 in float32, and the peak is what a square matrix product reaches on this machine, so that the figure says how
far the update is from the machine's own products and nothing about models of any size.

MFU is the arithmetic that no update can leave out (`grpo_jax/models/update_flops.py`: prompts once a group, nothing
recomputed) over time and peak. Attention is chosen as in a run, `--attention` as `model.attention`.
"""

import argparse
import json
import logging
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp

from benchmarks.update_program import compile_update, random_inputs, random_state, update_config
from grpo_jax.bench.device_rates import measure_rates
from grpo_jax.bench.shapes import published_shape
from grpo_jax.config import ModelConfig, ParallelConfig, RunConfig
from grpo_jax.model_config import Remat
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.update_attention_choice import choose_update_attention
from grpo_jax.models.update_flops import update_flops
from grpo_jax.parallel.device_peaks import peak_flops
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.records import ConfigError

SHAPES = ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B")


def tiny_shape() -> Architecture:
    """Where there is no accelerator."""
    sizes = {"vocab_size": 8192, "width": 256, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "head_size": 64}
    return replace(published_shape(SHAPES[0]), **sizes, mlp_size=1024, query_scale=0.0, sliding_layers=())


def make_config(on_accelerator: bool, remat: Remat, attention: Any) -> RunConfig:
    """The update that is measured."""
    prompt, tokens, group, microbatch = (256, 512, 16, 16_384) if on_accelerator else (64, 64, 8, 2048)
    dtype: Any = "bfloat16" if on_accelerator else "float32"
    return update_config(
        ModelConfig(dtype=dtype, remat=remat, attention=attention),
        prompts=4,
        prompt_tokens=prompt,
        group_size=group,
        completion_tokens=tokens,
        microbatch_tokens=microbatch,
    )


def measure(arch: Architecture, config: RunConfig, repeats: int, peak: float) -> dict[str, Any]:
    """Time the update of one shape.

    Returns:
        `seconds` (median), `tokens_per_second` (prompts counted once), `mfu`, `attention`, `peak_bytes` of XLA.

    Raises:
        ConfigError: `model.attention=pallas` cannot be had.
    """
    mesh = make_mesh(ParallelConfig(), jax.devices()[:1])
    prompt, tokens = config.data.max_prompt_tokens, config.sampling.max_completion_tokens
    how = choose_update_attention(config.model.attention, arch, mesh, jnp.dtype(config.model.dtype), prompt + tokens)
    program = compile_update(config, arch, mesh, how)
    state, inputs = random_state(program.state), random_inputs(program, arch, mesh)
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        state, output = program.compiled(state, {}, inputs, program.terms)
        jax.block_until_ready(output)
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[1:])
    groups = [(prompt, [tokens] * config.sampling.group_size)] * config.data.prompts_per_step
    return {
        "seconds": median,
        "tokens_per_second": sum(own + sum(lengths) for own, lengths in groups) / median,
        "mfu": update_flops(arch, groups) / median / peak,
        "attention": how.path,
        "peak_bytes": program.compiled_bytes,
    }


def main() -> int:
    """Measure, print, write; 2 where the arguments ask for what cannot be had."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="timed updates")
    parser.add_argument("--remat", nargs="+", choices=get_args(Remat), default=["dots", "block"])
    parser.add_argument("--attention", choices=("auto", "xla", "pallas"), default="auto")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    device = jax.devices()[0]
    known = peak_flops(device.device_kind)
    on_accelerator = device.platform != "cpu"
    if on_accelerator and known is None:
        print(
            f"no peak is known for {device.device_kind}: add it to grpo_jax/parallel/device_peaks.py", file=sys.stderr
        )
        return 2
    peak = known or measure_rates(jnp.float32).flops_per_second
    source = "data sheet" if on_accelerator else "measured by a float32 matrix product"
    print(f"{device.device_kind}: peak {peak / 1e12:.2f} TFLOP/s ({source})")
    shapes = {name: published_shape(name) for name in SHAPES} if on_accelerator else {"tiny": tiny_shape()}
    found: dict[str, Any] = {"device": device.device_kind, "peak_flops": peak, "peak_source": source}
    try:
        for name, arch in shapes.items():
            for remat in arguments.remat:
                config = make_config(on_accelerator, remat, arguments.attention)
                own = found[f"{name} remat={remat}"] = measure(arch, config, arguments.repeats, peak)
                print(
                    f"{name:<16} remat={remat:<9} attention={own['attention']}   {own['seconds']:7.3f} s   "
                    f"{own['tokens_per_second']:9.0f} tokens/s   MFU {own['mfu']:.1%}",
                    flush=True,
                )
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
