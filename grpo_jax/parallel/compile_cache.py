# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where compiled programs are kept from one start of the program to the next."""

import hashlib
import logging
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from grpo_jax.records import ConfigError

logger = logging.getLogger(__name__)

_CPU_INFO = Path("/proc/cpuinfo")


def keep_compiled_programs(folder: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Turn JAX's persistent compile cache on, or off; what is compiled before it is called is not kept.

    Below the folder each kind of host CPU has one of its own: a program compiled for a CPU that has more instructions
    than this one would end the process.

    Args:
        folder: `parallel.compile_cache`: a path or a `gs://` address, "" for no cache. None takes what
            JAX_COMPILATION_CACHE_DIR says, as it is, or else `grpo_jax/compiled` below XDG_CACHE_HOME or `~/.cache`.
        environment: Environment variables.

    Returns:
        The folder in use, None where there is none.

    Raises:
        ConfigError: A folder was asked for by name and cannot be written.
    """
    if folder is None and environment.get("JAX_COMPILATION_CACHE_DIR"):
        return environment["JAX_COMPILATION_CACHE_DIR"]
    used = None if folder == "" else _writable(folder, environment)
    if used != jax.config.values["jax_compilation_cache_dir"]:
        jax.config.update("jax_compilation_cache_dir", used)
        # Where something was compiled already, JAX has settled on the folder before, or on none.
        compilation_cache.reset_cache()
    if used is not None and "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in environment:
        # The many small programs of a start add up.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return used


def _writable(folder: str | None, environment: Mapping[str, str]) -> str | None:
    default = Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "grpo_jax" / "compiled"
    base = folder or str(default)
    if "://" in base:
        return f"{base.rstrip('/')}/{cpu_kind()}"
    own = Path(base).expanduser() / cpu_kind()
    try:
        own.mkdir(parents=True, exist_ok=True)
        if not os.access(own, os.W_OK):
            raise PermissionError("no right to write there")
    except OSError as error:
        if folder is not None:
            raise ConfigError(f"parallel.compile_cache={folder!r}: {error.strerror or error}") from error
        logger.warning(
            "no compile cache: %s: %s; set parallel.compile_cache to a folder, or to '' to do without",
            own,
            error.strerror or error,
        )
        return None
    return str(own)


def cpu_kind() -> str:
    """A short name of what the host's CPU can do, the same on hosts whose CPUs can do the same."""
    lines = _CPU_INFO.read_text(encoding="utf-8").splitlines() if _CPU_INFO.is_file() else []
    can = next((line for line in lines if line.lower().startswith(("flags", "features"))), platform.processor())
    return f"{platform.machine()}-{hashlib.sha256(can.encode()).hexdigest()[:8]}"
