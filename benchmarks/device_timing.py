# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds that one call of a compiled function takes on the device, and what the device is."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def device_facts() -> dict[str, Any]:
    """Names and versions to print beside a figure."""
    device = jax.devices()[0]
    return {"device": device.device_kind, "platform": device.platform, "jax": jax.__version__}


def seconds_a_call(run: Callable[..., Any], *inputs: Any, repeats: int, calls: int = 5) -> float:
    """Median over `repeats` of the mean time of `calls` calls that wait for one another only on the device."""
    jax.block_until_ready(run(*inputs))
    found = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(calls):
            result = run(*inputs)
        jax.block_until_ready(result)
        found.append((time.perf_counter() - begin) / calls)
    return statistics.median(found)


def copy_bytes_per_second(num_bytes: int, repeats: int) -> float:
    """Bytes read and written a second by copying an array with one changed bit, which no cache holds if it is large."""
    array = jnp.zeros(num_bytes // 4, jnp.float32)
    return 2 * num_bytes / seconds_a_call(jax.jit(lambda x: x + 1), array, repeats=repeats)


def outcome(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The figures of a variant, or the first line of why this device or this JAX cannot run it."""
    try:
        return measure()
    except (RuntimeError, ValueError, TypeError, NotImplementedError, ImportError) as error:
        return {"cannot_run": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
