# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How much memory a device has, and what to say when it is not enough."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import jax
import numpy as np
import psutil
from jax.experimental import multihost_utils

from grpo_jax.records import ConfigError

GIBIBYTE = 2**30


class DeviceMemoryError(ConfigError):
    """A device's memory did not suffice; the message names the settings that decide how much is needed."""


def device_bytes() -> int:
    """Memory of one device, the same on every process; on CPUs what their host has available now, in equal shares."""
    device = jax.local_devices()[0]
    statistics = device.memory_stats() if device.platform != "cpu" else None
    if statistics and "bytes_limit" in statistics:
        own = statistics["bytes_limit"]
    else:
        own = psutil.virtual_memory().available // len(jax.local_devices())
    if jax.process_count() == 1:
        return own
    # In KiB, since JAX moves 32-bit integers: what is decided from it must be decided alike everywhere.
    return int(multihost_utils.process_allgather(np.int32(own // 1024)).min()) * 1024


@contextmanager
def memory_explained(doing: str, settings: Mapping[str, object]) -> Iterator[None]:
    """Turn a device's running out of memory into one line for the user.

    Args:
        doing: What the memory was for, such as "sampling".
        settings: Config fields that a lower value of needs less memory, with their present values, the first to try
            first.

    Raises:
        DeviceMemoryError: An allocation failed.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise DeviceMemoryError(_explanation(str(error), doing, settings)) from error


def _explanation(fault: str, doing: str, settings: Mapping[str, object]) -> str:
    device = jax.local_devices()[0]
    statistics = device.memory_stats() if device.platform != "cpu" else None
    asked = re.search(r"(\d+) bytes", fault)
    wanted = f", {int(asked[1]) / GIBIBYTE:.2f} GiB more were asked for" if asked else ""
    if statistics and "bytes_limit" in statistics:
        held = statistics.get("bytes_in_use", 0) / GIBIBYTE
        have = f"a device has {statistics['bytes_limit'] / GIBIBYTE:.2f} GiB, {held:.2f} GiB of them in use"
    else:
        memory = psutil.virtual_memory()
        have = f"the host has {memory.total / GIBIBYTE:.2f} GiB, {memory.available / GIBIBYTE:.2f} GiB of them free"
    lower = ", ".join(f"{name}={value}" for name, value in settings.items())
    return f"out of memory while {doing}: {have}{wanted}; lower one of {lower}"
