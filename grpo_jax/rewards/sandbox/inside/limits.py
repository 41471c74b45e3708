# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What one execution may use, and the kernel limits that hold it there."""

import math
import resource
from dataclasses import dataclass

MEBIBYTE = 2**20
_MAX_DESCRIPTORS = 64
_SPARE_CPU_SECONDS = 1
"""The kernel counts whole seconds; the zygote, which counts exactly, should come first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one execution.

    Attributes:
        cpu_seconds: Processor time of each process.
        wall_seconds: Backstop for programs that wait.
        memory_bytes: Address space of each process.
        file_bytes: Largest output.
        processes: Threads and processes of the user that it runs as, all together; None where that user also runs
            other things.
    """

    cpu_seconds: float = 1.0
    wall_seconds: float = 4.0
    memory_bytes: int = 512 * MEBIBYTE
    file_bytes: int = MEBIBYTE
    processes: int | None = None


def apply(limits: Limits) -> None:
    """Set the kernel's limits of the calling process for good; without new processes they bound the whole execution."""
    cpu = math.ceil(limits.cpu_seconds) + _SPARE_CPU_SECONDS
    bounds = {
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: _MAX_DESCRIPTORS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_AS: limits.memory_bytes,
    }
    if limits.processes is not None:
        bounds[resource.RLIMIT_NPROC] = limits.processes
    for name, bound in bounds.items():
        hard = resource.getrlimit(name)[1]
        value = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(name, (value, value))
