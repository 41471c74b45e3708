# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What choosing a token costs, as a fraction of `jax.random.categorical` on the same logits.

    python -m benchmarks.sampler_cost [--rows 16] [--vocab 151936]

Best of several repetitions in one process, so that the ratios hold on a busy machine too.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from grpo_jax.sampling.cuts import Cuts
from grpo_jax.sampling.token_choice import choose


def measure(rows: int, vocab: int, repetitions: int = 7) -> dict[str, float]:
    """Seconds of `categorical` under that name; of everything else the ratio to it."""
    key = jax.random.key(0)
    flat = 0.5 * jax.random.normal(key, (rows, vocab))
    peaked = (6.0 * flat).at[:, vocab // 2].set(25.0)
    keys, temperature = jax.random.split(key, rows), jnp.ones(rows)

    def cuts(top_p: Any = 1.0, top_k: int = 0, min_p: float = 0.0) -> Cuts:
        return Cuts(jnp.broadcast_to(jnp.float32(top_p), rows), jnp.full(rows, top_k, jnp.int32), jnp.full(rows, min_p))

    def categorical(logits: jax.Array, temperature: jax.Array, keys: jax.Array) -> jax.Array:
        return jax.vmap(jax.random.categorical)(keys, logits / temperature[:, None])

    def sorted_top_p(logits: jax.Array, temperature: jax.Array, keys: jax.Array) -> jax.Array:
        order = jnp.sort(logits, axis=1, descending=True)
        probabilities = jax.nn.softmax(order / temperature[:, None])
        above = jnp.cumsum(probabilities, axis=1) - probabilities
        last = jnp.where(above < 0.9, order, jnp.inf).min(axis=1, keepdims=True)
        return categorical(jnp.where(logits >= last, logits, -jnp.inf), temperature, keys)

    draw = jax.jit(choose)
    baseline = _seconds(jax.jit(categorical), (flat, temperature, keys), repetitions)
    one_row = jnp.where(jnp.arange(rows) == 0, 0.9, 1.0)
    timed = {
        "no cuts compiled": (flat, temperature, keys, None),
        "cuts compiled, all off": (flat, temperature, keys, cuts()),
        "min_p 0.1": (peaked, temperature, keys, cuts(min_p=0.1)),
        "top_k 50": (flat, temperature, keys, cuts(top_k=50)),
        "top_p 0.9, peaked": (peaked, temperature, keys, cuts(top_p=0.9)),
        "top_p 0.9, one row flat": (flat, temperature, keys, cuts(top_p=one_row)),
        "top_p 0.9, all rows flat": (flat, temperature, keys, cuts(top_p=0.9)),
    }
    ratios = {name: _seconds(draw, arguments, repetitions) / baseline for name, arguments in timed.items()}
    ratios["top_p 0.9 by a full sort"] = _seconds(jax.jit(sorted_top_p), (flat, temperature, keys), 2) / baseline
    return {"categorical": baseline, **ratios}


def _seconds(function: Callable[..., Any], arguments: tuple[Any, ...], repetitions: int) -> float:
    jax.block_until_ready(function(*arguments))
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description="Cost of choosing a token")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--vocab", type=int, default=151_936)
    arguments = parser.parse_args()
    figures = measure(arguments.rows, arguments.vocab)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
