# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The section of a config that lays out devices and processes."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ParallelConfig:
    """Mesh of devices; -1 takes all that is left, in at most one axis."""

    data: int = 1
    """Replicas of the weights."""
    fsdp: int = -1
    """Devices that share one copy of weights and optimizer state."""
    tensor: int = 1
    """Devices that share each matrix product."""
    rollout_devices: int | None = None
    """Devices, of all there are, that sample and do nothing else; the others train, and `data`, `fsdp` and `tensor` lay
    those out. Each group of `tensor` devices has the weights whole and samples prompts of its own. It pays with
    `rollout.max_staleness`, which has both at work at once. None samples on all the devices that train."""
    distributed: Literal["auto", "always", "never"] = "auto"
    """Whether to connect to the run's other processes: `auto` does where `coordinator`, JAX_COORDINATOR_ADDRESS, Slurm,
    Open MPI or a multi-host TPU job says that there are any; `always` leaves it to JAX to find them, as on a TPU
    pod."""
    hosts: int | None = None
    """Processes of the run, one a host; None takes what the environment says."""
    coordinator: str | None = None
    """HOST:PORT of the first process, for hosts that nothing else connects."""
    host_index: int | None = None
    """Number of this process, from 0; goes with `coordinator`."""
    start_seconds: int = 300
    """How long to wait for the others at the start."""
    heartbeat_seconds: int = 100
    """Silence after which a process counts as dead, which ends the others with a line that names it. A process that is
    stopped or frozen for clearly less lives on; one whose Python is held by a single call for longer counts too."""
    compile_cache: str | None = None
    """Folder, or `gs://` address, that keeps compiled programs from start to start; '' keeps none. None is what
    JAX_COMPILATION_CACHE_DIR says, else `grpo_jax/compiled` in the user's cache. Only process 0 writes to it."""
    compile_ahead: bool = True
    """Whether a thread compiles what the first step will need while weights load and rollouts are sampled; the results
    are the same without."""
