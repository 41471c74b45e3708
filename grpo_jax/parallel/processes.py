# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of one run, one a host: how they find each other, agree, and exchange what only one of them knows.

All of them run the same program in lockstep: whatever enters a compiled program or decides which one runs next must be
the same everywhere. Device arrays move by the programs themselves; here only host values do.
"""

import logging
import os
import pickle
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from grpo_jax.config import ParallelConfig
from grpo_jax.records import ConfigError, RunStoppedError

logger = logging.getLogger(__name__)

_LOST = re.compile(
    r"connection|heartbeat|unhealthy|coordination|peer|timed? ?out|nccl|unavailable|deadline", re.IGNORECASE
)

START_AGAIN = "start all of them again: the run goes on from its last checkpoint"
"""What to do about a lost process."""

_HEARTBEAT_PATIENCE = 4
"""Times `parallel.heartbeat_seconds` that JAX's own heartbeats are given; after half of it JAX may end a process."""


def join_processes(settings: ParallelConfig, environment: Mapping[str, str] = os.environ) -> None:
    """Connect to the run's other processes, where there are any; call it before anything else asks JAX for devices.

    `parallel.coordinator`, `parallel.hosts` and `parallel.host_index` say who they are. Where the first is left out,
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID do, or what JAX itself reads of Slurm, Open MPI, GKE
    and TPU pods. `watching_processes` ends them where one falls silent; before and after it, JAX does, later.

    Raises:
        ConfigError: The settings contradict each other, or the others could not be reached in
            `parallel.start_seconds`.
    """
    if jax.distributed.is_initialized() or settings.distributed == "never":
        return
    address = settings.coordinator or environment.get("JAX_COORDINATOR_ADDRESS")
    count = settings.hosts or _number(environment, "JAX_NUM_PROCESSES")
    index = settings.host_index if settings.host_index is not None else _number(environment, "JAX_PROCESS_ID")
    if settings.distributed == "auto" and not address and not _names_others(environment):
        if settings.hosts and settings.hosts > 1:
            raise ConfigError(
                f"parallel.hosts={settings.hosts}, but nothing says where the others are; set parallel.coordinator, or "
                "parallel.distributed=always on a TPU pod"
            )
        return
    if settings.heartbeat_seconds < 1:
        raise ConfigError(f"parallel.heartbeat_seconds={settings.heartbeat_seconds} must be 1 or more")
    if settings.coordinator and (count is None or index is None):
        raise ConfigError(
            "parallel.coordinator needs parallel.hosts and parallel.host_index (counted from 0) beside it"
        )
    try:
        jax.distributed.initialize(
            address,
            count,
            index,
            initialization_timeout=settings.start_seconds,
            heartbeat_timeout_seconds=_HEARTBEAT_PATIENCE * settings.heartbeat_seconds,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"the run's processes did not find each other within parallel.start_seconds={settings.start_seconds}: "
            f"{reason}; all must start with the same coordinator (here {address or 'found by JAX'})"
        ) from error
    if settings.hosts and jax.process_count() != settings.hosts:
        raise ConfigError(f"parallel.hosts={settings.hosts}, but {jax.process_count()} processes joined; correct one")
    logger.info("process %d of %d, %d of %d devices", *_place(), jax.local_device_count(), jax.device_count())


class LostProcessError(RunStoppedError):
    """Another process of the run has ended or cannot be reached; its message is one line."""


@contextmanager
def naming_lost_processes() -> Iterator[None]:
    """Turn what JAX raises when a peer is gone into one clear line.

    Raises:
        LostProcessError: In place of a JAX error that tells of a broken connection.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).partition("\n")[0]
        if jax.process_count() == 1 or not _LOST.search(reason):
            raise
        raise LostProcessError(
            f"process {jax.process_index()}: another process of this run has ended ({reason}); look at its log, "
            f"then {START_AGAIN}"
        ) from error


def leave(code: int) -> NoReturn:
    """End this process at once, of a run that has others.

    At an ordinary exit JAX waits for the others, who wait for this one's part of the next collective; a connection that
    breaks tells them.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def is_main() -> bool:
    """Whether this process writes the files that are written once."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; all call it, and all get the same answer."""
    return bool(flag) if jax.process_count() == 1 else any(exchange(bool(flag)))


def exchange(value: Any) -> list[Any]:
    """What each process gave, in the order of their indices; all call it.

    Args:
        value: Anything that pickles. Only processes of the same run exchange, so that unpickling is safe.
    """
    if jax.process_count() == 1:
        return [value]
    payload = np.frombuffer(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.int32(len(payload)))).reshape(-1)
    # One size for all rows, in steps of powers of two, so that the gathering program is compiled a few times a run.
    row = np.zeros(1 << (int(sizes.max()) - 1).bit_length(), np.uint8)
    row[: len(payload)] = payload
    rows = np.asarray(multihost_utils.process_allgather(row)).reshape(len(sizes), -1)
    return [pickle.loads(rows[index, :size].tobytes()) for index, size in enumerate(sizes.tolist())]


def wait_for_all(name: str) -> None:
    """Return when every process has come here.

    Args:
        name: Of the place; a process at another one is an error, not a hang.
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def _place() -> tuple[int, int]:
    return jax.process_index() + 1, jax.process_count()


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise ConfigError(f"environment variable {name}={text!r} is not a number")
    return int(text)


def _names_others(environment: Mapping[str, str]) -> bool:
    """Whether the environment is of a job step with several processes, of a kind that JAX reads the rest from."""
    return (
        ("SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1)
        or int(environment.get("OMPI_COMM_WORLD_SIZE", "1")) > 1
        or "," in environment.get("TPU_WORKER_HOSTNAMES", "")
        or "MEGASCALE_COORDINATOR_ADDRESS" in environment
    )
