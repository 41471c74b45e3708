# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which attention and which draw should decode use on this device?

    python -m benchmarks.decode_attention --output decode_attention.json

Answers three questions for the shapes of Qwen3-0.6B (8 key-value heads, 16 query heads, head size 128, bfloat16):

- own: one layer's attention of every lane to its own tokens, lognormal lengths (mean 320, at most 1024). `kernel` is
  the ragged kernel of this device, `xla_bucketed` plain XLA over the power of two that holds the longest lane,
  `xla_maximum` over all 1024 columns, `cudnn` cuDNN with one query and the lanes' lengths.
- prompt: the same lanes' attention to the prompts of their groups of 16, 256 tokens each. `shared` is one batched
  product a group, `shared_kernel` the ragged kernel with the group's lanes as query rows, `lanes_kernel` one program
  a lane that reads the group's one copy, so that only the chip's cache can share it, `copied` a copy for each lane.
- draw: a token of each lane from 151,936 logits. `two_level` is the product's, `categorical` is `jax.random`'s with
  the log-probability from a log-softmax.

Times are medians of `--repeats`, for one layer out of a chain of `--layers` whose caches differ, so that no cache stays
on the chip between them. `of_copy` is the rate at which the keys and values that count are read, as a fraction of the
rate at which this device copies memory. Without an accelerator the default is a small size of the same variants, whose
figures mean nothing; a kernel that the device lacks is listed with the reason.
"""

import argparse
import functools
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.device_timing import copy_bytes_per_second, device_facts, outcome, seconds_a_call
from grpo_jax.models.attention_parts import attend_part, merge_parts
from grpo_jax.sampling.kernels.ragged_columns import ragged_reference
from grpo_jax.sampling.ragged_attention import DecodeAttention, ragged_kernel
from grpo_jax.sampling.token_choice import choose


@dataclass(frozen=True)
class Sizes:
    """What is measured.

    Attributes:
        lanes: Numbers of lanes (B), multiples of `group`.
        group: Lanes of a prompt (C).
        kv_heads: Key-value heads (K).
        rows: Query heads of each (R).
        head_size: H.
        prompt: Prompt tokens.
        own_mean: Mean of the lanes' own tokens.
        own_most: Columns of the own cache.
        vocabulary: V.
        layers: Caches that one timed program goes through.
        dtype: Of queries, keys and values.
    """

    lanes: tuple[int, ...] = (64, 128, 256, 512)
    group: int = 16
    kv_heads: int = 8
    rows: int = 2
    head_size: int = 128
    prompt: int = 256
    own_mean: int = 320
    own_most: int = 1024
    vocabulary: int = 151_936
    layers: int = 4
    dtype: str = "bfloat16"


TINY = Sizes((4, 8), 4, 2, 2, 64, 32, 20, 64, 2000, 2, "float32")


def own_lengths(sizes: Sizes, lanes: int) -> np.ndarray:
    """Lognormal lengths of the wanted mean, spread as completions are, cut at the cache's end."""
    spread = 0.6
    drawn = np.random.default_rng(0).lognormal(np.log(sizes.own_mean) - spread**2 / 2, spread, lanes)
    return drawn.astype(np.int32).clip(1, sizes.own_most)


def bucket(length: int) -> int:
    """Power of two that holds `length`, at least 64."""
    return max(64, 1 << (length - 1).bit_length())


def measure_own(sizes: Sizes, lanes: int, repeats: int, copy_rate: float) -> dict[str, Any]:
    """Own part: each variant's milliseconds a layer and share of the copy rate."""
    length = own_lengths(sizes, lanes)
    q, caches = _queries(sizes, lanes), _caches(sizes, (lanes, sizes.kv_heads, sizes.own_most, sizes.head_size))
    start, end = jnp.zeros(lanes, jnp.int32), jnp.asarray(length)
    useful = int(length.sum()) * _token_bytes(sizes)

    def plain(columns: int) -> Callable[..., jax.Array]:
        def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
            part = ragged_reference(q, k[:, :, :columns], v[:, :, :columns], start, end)
            return merge_parts(part, dtype=q.dtype)

        return attend

    def by_kernel(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return merge_parts(_kernel()(q, k, v, start, end), dtype=q.dtype)

    def by_cudnn(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        flat = q.reshape(lanes, 1, -1, sizes.head_size)
        settings: dict[str, Any] = {"key_value_seq_lengths": end, "scale": 1.0, "implementation": "cudnn"}
        return jax.nn.dot_product_attention(flat, k, v, **settings).reshape(q.shape)

    found = {"mean_length": float(length.mean()), "longest": int(length.max())}
    variants = {
        "kernel": (by_kernel, caches),
        "xla_bucketed": (plain(min(bucket(int(length.max())), sizes.own_most)), caches),
        "xla_maximum": (plain(sizes.own_most), caches),
        "cudnn": (by_cudnn, [tuple(jnp.swapaxes(leaf, 1, 2) for leaf in cache) for cache in caches]),
    }
    return found | _timed(variants, q, repeats, useful, copy_rate)


def measure_prompt(sizes: Sizes, lanes: int, repeats: int, copy_rate: float) -> dict[str, Any]:
    """Prompt part: the same, `of_copy` counting each prompt once."""
    groups, members = lanes // sizes.group, sizes.group
    q = _queries(sizes, lanes)
    caches = _caches(sizes, (groups, sizes.kv_heads, sizes.prompt, sizes.head_size))
    start, end = jnp.zeros(groups, jnp.int32), jnp.full(groups, sizes.prompt, jnp.int32)
    useful = groups * sizes.prompt * _token_bytes(sizes)
    seen = jnp.ones((1, 1, 1, sizes.prompt), bool)

    def by_group(q: jax.Array) -> jax.Array:
        split = q.reshape(groups, members, sizes.kv_heads, sizes.rows, sizes.head_size)
        return jnp.swapaxes(split, 1, 2).reshape(groups, sizes.kv_heads, -1, sizes.head_size)

    def by_lane(out: jax.Array) -> jax.Array:
        split = out.reshape(groups, sizes.kv_heads, members, sizes.rows, sizes.head_size)
        return jnp.swapaxes(split, 1, 2).reshape(q.shape)

    def shared(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return by_lane(merge_parts(attend_part(by_group(q), k, v, seen), dtype=q.dtype))

    def shared_kernel(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return by_lane(merge_parts(_kernel()(by_group(q), k, v, start, end), dtype=q.dtype))

    def lanes_kernel(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        split = q.reshape(groups, members, *q.shape[1:])
        part = jax.vmap(_kernel(), in_axes=(1, None, None, None, None), out_axes=1)(split, k, v, start, end)
        return merge_parts(part, dtype=q.dtype).reshape(q.shape)

    def copied(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return merge_parts(attend_part(q, k, v, seen), dtype=q.dtype)

    variants = {
        "shared": (shared, caches),
        "shared_kernel": (shared_kernel, caches),
        "lanes_kernel": (lanes_kernel, caches),
        "copied": (copied, [tuple(jnp.repeat(leaf, members, axis=0) for leaf in cache) for cache in caches]),
    }
    return _timed(variants, q, repeats, useful, copy_rate)


def measure_draw(sizes: Sizes, lanes: int, repeats: int) -> dict[str, Any]:
    """Draw of one token a lane: milliseconds of each way."""
    logits = jax.random.normal(jax.random.key(0), (lanes, sizes.vocabulary)) * 3
    temperature = jnp.ones(lanes)
    keys = jax.random.split(jax.random.key(1, impl="threefry2x32"), lanes)

    def categorical(logits: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        token = jax.vmap(jax.random.categorical)(keys, logits / temperature[:, None])
        logprobs = jax.nn.log_softmax(logits / temperature[:, None])
        return token, jnp.take_along_axis(logprobs, token[:, None], axis=1)[:, 0]

    ways = {"two_level": lambda logits, keys: choose(logits, temperature, keys, None), "categorical": categorical}
    return {
        name: outcome(
            lambda way=way: {"milliseconds": seconds_a_call(jax.jit(way), logits, keys, repeats=repeats) * 1e3}
        )
        for name, way in ways.items()
    }


def measure(sizes: Sizes, repeats: int) -> dict[str, Any]:
    """Everything, as JSON-able values."""
    copy_rate = copy_bytes_per_second(2**30 if jax.default_backend() != "cpu" else 2**24, repeats)
    found: dict[str, Any] = {**device_facts(), "copy_gigabytes_per_second": copy_rate / 1e9, "sizes": asdict(sizes)}
    for lanes in sizes.lanes:
        found[f"{lanes} lanes"] = {
            "own": measure_own(sizes, lanes, repeats, copy_rate),
            "prompt": measure_prompt(sizes, lanes, repeats, copy_rate),
            "draw": measure_draw(sizes, lanes, repeats),
        }
    return found


@functools.cache
def _kernel() -> Callable[..., Any]:
    platform = jax.default_backend()
    if platform not in ("gpu", "tpu"):
        raise NotImplementedError(f"platform {platform} has no kernel")
    return ragged_kernel(DecodeAttention("gpu" if platform == "gpu" else "tpu"))


def _queries(sizes: Sizes, lanes: int) -> jax.Array:
    shape = (lanes, sizes.kv_heads, sizes.rows, sizes.head_size)
    return (jax.random.normal(jax.random.key(2), shape) * sizes.head_size**-0.5).astype(sizes.dtype)


def _caches(sizes: Sizes, shape: tuple[int, ...]) -> list[tuple[jax.Array, jax.Array]]:
    keys = jax.random.split(jax.random.key(3), (sizes.layers, 2))
    first, second = keys[:, 0], keys[:, 1]
    return [
        (jax.random.normal(a, shape, sizes.dtype), jax.random.normal(b, shape, sizes.dtype))
        for a, b in zip(first, second, strict=True)
    ]


def _token_bytes(sizes: Sizes) -> int:
    return 2 * sizes.kv_heads * sizes.head_size * jnp.dtype(sizes.dtype).itemsize


def _timed(
    variants: dict[str, tuple[Callable[..., jax.Array], list[tuple[jax.Array, ...]]]],
    q: jax.Array,
    repeats: int,
    useful_bytes: int,
    copy_rate: float,
) -> dict[str, Any]:
    """Milliseconds a layer of each variant, and how far its result is from the first that ran."""
    found: dict[str, Any] = {}
    wanted: list[jax.Array] = []

    def run(attend: Callable[..., jax.Array], caches: list[tuple[jax.Array, ...]]) -> dict[str, Any]:
        def chain(q: jax.Array, caches: list[tuple[jax.Array, ...]]) -> jax.Array:
            for k, v in caches:
                q = (q + attend(q, k, v)).astype(q.dtype)
            return q

        result = jax.jit(attend)(q, *caches[0])
        wanted.append(result)
        seconds = seconds_a_call(jax.jit(chain), q, caches, repeats=repeats) / len(caches)
        return {
            "milliseconds_a_layer": seconds * 1e3,
            "of_copy": useful_bytes / seconds / copy_rate,
            "largest_difference": float(jnp.abs(result.astype(jnp.float32) - wanted[0].astype(jnp.float32)).max()),
        }

    for name, (attend, caches) in variants.items():
        found[name] = outcome(functools.partial(run, attend, caches))
    return found


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; `sizes` is what to measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode_attention", description=__doc__)
    parser.add_argument("--lanes", type=int, nargs="+", help="numbers of lanes, each a multiple of 16")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each variant")
    parser.add_argument("--tiny", action="store_true", help="a small size, the default without an accelerator")
    parser.add_argument("--output", type=Path, help="also write the JSON here")
    arguments = parser.parse_args(words)
    sizes = TINY if arguments.tiny or jax.default_backend() == "cpu" else Sizes()
    if arguments.lanes:
        if any(lanes < 1 or lanes % sizes.group for lanes in arguments.lanes):
            parser.error(f"--lanes must be multiples of the group size {sizes.group}")
        sizes = Sizes(**{**asdict(sizes), "lanes": tuple(arguments.lanes)})
    arguments.sizes = sizes
    return arguments


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    text = json.dumps(measure(arguments.sizes, arguments.repeats), indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
