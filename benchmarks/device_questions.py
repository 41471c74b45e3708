# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How should decode be compiled on this device, and which attention has the faster backward pass?

    python -m benchmarks.device_questions --output device_questions.json

- layers: milliseconds a token of 32 steps through a stack of decoder layers of Qwen3-0.6B's sizes (bfloat16, one query
  a lane, a cache of 512 columns), `unrolled` with one array a layer as the product decodes, `scanned` over stacked
  weights and caches, each under several compiler options. On NVIDIA these are slices fused into the kernels that read
  them, and what a CUDA graph may hold: the default, all, and none.
- backward: milliseconds of a loss and gradient through causal attention of whole rows, plain XLA against cuDNN.
- imports: every `jax.experimental` or private module that the package imports, and whether this JAX has what is
  imported from it.

Without an accelerator the default is a small size, whose figures mean nothing. What the device or this JAX cannot run
is listed with the reason.
"""

import argparse
import ast
import functools
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.device_timing import device_facts, outcome, seconds_a_call
from grpo_jax.models.attention_parts import attend_part, merge_parts

PACKAGE = Path(__file__).resolve().parents[1] / "grpo_jax"
COMPILER_OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "gpu": {
        "default": {},
        "slices_fused": {"xla_gpu_enable_dynamic_slice_fusion": True},
        "graphs_hold_all": {
            "xla_gpu_enable_command_buffer": "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,WHILE",
            "xla_gpu_graph_min_graph_size": 1,
        },
        "no_graphs": {"xla_gpu_enable_command_buffer": ""},
    },
}
"""By platform and name; elsewhere the default alone."""


@dataclass(frozen=True)
class Sizes:
    """What is measured: B lanes through L layers of width D, K key-value heads of R query heads and size H."""

    lanes: tuple[int, ...] = (32, 128, 256)
    layers: int = 28
    width: int = 1024
    mlp: int = 3072
    kv_heads: int = 8
    rows: int = 2
    head_size: int = 128
    columns: int = 512
    steps: int = 32
    row_tokens: tuple[int, int] = (8, 2048)
    dtype: str = "bfloat16"


TINY = Sizes((2,), 2, 32, 64, 2, 2, 16, 32, 4, (2, 32), "float32")


def measure_layers(sizes: Sizes, lanes: int, repeats: int) -> dict[str, Any]:
    """Milliseconds a token of both layouts under each set of compiler options."""
    stacked = _weights(sizes, lanes)
    split = [jax.tree.map(lambda leaf, layer=layer: leaf[layer] + 0, stacked) for layer in range(sizes.layers)]
    x = jnp.ones((lanes, sizes.width), sizes.dtype)
    block = functools.partial(_block, sizes)

    def unrolled(x: jax.Array, weights: list[dict[str, jax.Array]]) -> jax.Array:
        for layer in weights:
            x = block(x, layer)
        return x

    def scanned(x: jax.Array, weights: dict[str, jax.Array]) -> jax.Array:
        return jax.lax.scan(lambda x, layer: (block(x, layer), None), x, weights)[0]

    def tokens(stack: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        def run(x: jax.Array, weights: Any) -> jax.Array:
            return jax.lax.fori_loop(0, sizes.steps, lambda _, x: stack(x, weights), x)

        return run

    found: dict[str, Any] = {}
    for name, options in COMPILER_OPTIONS.get(jax.default_backend(), {"default": {}}).items():
        for layout, stack, weights in (("unrolled", unrolled, split), ("scanned", scanned, stacked)):

            def one(stack: Any = stack, weights: Any = weights, options: dict[str, Any] = options) -> dict[str, Any]:
                run = jax.jit(tokens(stack), compiler_options=options)
                return {"milliseconds_a_token": seconds_a_call(run, x, weights, repeats=repeats) / sizes.steps * 1e3}

            found[f"{layout}, {name}"] = outcome(one)
    return found


def measure_backward(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """Milliseconds of a loss and gradient through attention by each implementation."""
    rows, tokens = sizes.row_tokens
    keys = jax.random.split(jax.random.key(0), 3)
    heads = (sizes.kv_heads * sizes.rows, sizes.kv_heads, sizes.kv_heads)
    inputs = [
        jax.random.normal(key, (rows, tokens, count, sizes.head_size), sizes.dtype)
        for key, count in zip(keys, heads, strict=True)
    ]

    def by(implementation: Any) -> dict[str, Any]:
        def loss(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
            out = jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation=implementation)
            return jnp.square(out.astype(jnp.float32)).sum()

        run = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
        return {"milliseconds": seconds_a_call(run, *inputs, repeats=repeats) * 1e3}

    return {name: outcome(functools.partial(by, name)) for name in ("xla", "cudnn")}


def check_imports(package: Path = PACKAGE) -> dict[str, str]:
    """`ok`, or what is missing, for each experimental or private name of JAX that the package imports."""
    found = {}
    for module, name in sorted(set(_unstable_imports(package))):
        try:
            whole = importlib.import_module(module)
            present = name is None or hasattr(whole, name) or importlib.import_module(f"{module}.{name}")
            found[f"{module}.{name}" if name else module] = "ok" if present else "missing"
        except ImportError as error:
            found[f"{module}.{name}" if name else module] = str(error)
    return found


def measure(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """Everything, as JSON-able values."""
    return {
        **device_facts(),
        "sizes": asdict(sizes),
        "layers": {f"{lanes} lanes": measure_layers(sizes, lanes, repeats) for lanes in sizes.lanes},
        "backward": measure_backward(sizes, repeats),
        "imports": check_imports(),
    }


def _weights(sizes: Sizes, lanes: int) -> dict[str, jax.Array]:
    """Weights and caches of all layers, stacked."""
    query, kv = sizes.kv_heads * sizes.rows * sizes.head_size, sizes.kv_heads * sizes.head_size
    cache = (lanes, sizes.kv_heads, sizes.columns, sizes.head_size)
    shapes = {
        "query_key_value": (sizes.width, query + 2 * kv),
        "output": (query, sizes.width),
        "gate_up": (sizes.width, 2 * sizes.mlp),
        "down": (sizes.mlp, sizes.width),
        "keys": cache,
        "values": cache,
    }
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return {
        name: (jax.random.normal(key, (sizes.layers, *shape), jnp.float32) * 0.02).astype(sizes.dtype)
        if name not in ("keys", "values")
        else jnp.ones((sizes.layers, *shape), sizes.dtype)
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def _block(sizes: Sizes, x: jax.Array, layer: dict[str, jax.Array]) -> jax.Array:
    """One decoder layer for one token of each lane, its cache only read."""
    flat = _normed(x) @ layer["query_key_value"]
    q = flat[:, : sizes.kv_heads * sizes.rows * sizes.head_size] * sizes.head_size**-0.5
    q = q.reshape(-1, sizes.kv_heads, sizes.rows, sizes.head_size)
    part = attend_part(q, layer["keys"], layer["values"], jnp.ones((1, 1, 1, sizes.columns), bool))
    x = x + merge_parts(part, dtype=x.dtype).reshape(x.shape[0], -1) @ layer["output"]
    gate, up = jnp.split(_normed(x) @ layer["gate_up"], 2, axis=-1)
    return x + (jax.nn.silu(gate) * up) @ layer["down"]


def _normed(x: jax.Array) -> jax.Array:
    wide = x.astype(jnp.float32)
    return (wide * jax.lax.rsqrt(jnp.square(wide).mean(axis=-1, keepdims=True) + 1e-6)).astype(x.dtype)


def _unstable_imports(package: Path) -> Iterator[tuple[str, str | None]]:
    """(module, name) of what is imported from JAX's experimental and private modules; name None for a whole module."""
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and _unstable(node.module or ""):
                yield from ((node.module or "", alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module == "jax":
                yield from ((f"jax.{alias.name}", None) for alias in node.names if _unstable(f"jax.{alias.name}"))
            elif isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names if _unstable(alias.name))


def _unstable(module: str) -> bool:
    return module.startswith(("jax.experimental", "jax._src", "jaxlib"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device_questions", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timings of each variant")
    parser.add_argument("--tiny", action="store_true", help="a small size, the default without an accelerator")
    parser.add_argument("--output", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    sizes = TINY if arguments.tiny or jax.default_backend() == "cpu" else Sizes()
    text = json.dumps(measure(sizes, arguments.repeats), indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
