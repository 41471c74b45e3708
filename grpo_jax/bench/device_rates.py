# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What this device reaches in practice: copy bandwidth and the rate of a large matrix product, measured in a second."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from grpo_jax.bench.roofline import Rates

_CALLS = 5


def measure_rates(dtype: Any) -> Rates:
    """Measure the first device.

    Bandwidth is that of adding one to an array far larger than any cache, in place, read and write counted; the FLOP
    rate that of a square product in `dtype`. Each is the best of five calls, so that a busy neighbour costs little.

    Args:
        dtype: Compute dtype of the matrix product.
    """
    device = jax.local_devices()[0]
    on_host = device.platform == "cpu"
    num_values, side = (1 << 26, 2048) if on_host else (1 << 28, 8192)
    values = jax.device_put(jnp.zeros(num_values, jnp.float32), device)
    add = jax.jit(lambda x: x + 1.0, donate_argnums=0)

    def copy() -> None:
        nonlocal values
        values = jax.block_until_ready(add(values))

    copy_seconds = _best(copy)
    matrix = jax.device_put(jnp.full((side, side), 0.01, dtype), device)
    multiply = jax.jit(lambda a, b: a @ b)
    matmul_seconds = _best(lambda: jax.block_until_ready(multiply(matrix, matrix)))
    return Rates(
        bytes_per_second=2 * 4 * num_values / copy_seconds,
        flops_per_second=2 * side**3 / matmul_seconds,
    )


def _best(call: Callable[[], Any]) -> float:
    call()
    seconds = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
