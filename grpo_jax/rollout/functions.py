# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the rollout functions that a config names and binds their settings.

A rollout function is `async def name(problem, generate, *, setting=...)`. Where it needs something that lasts (a pool
of processes, a connection), it is a class: made once with the settings, called like the function, closed by `close()`.
"""

import functools
import importlib
import importlib.util
import inspect
import sys
import zlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from grpo_jax.config import RunConfig
from grpo_jax.records import ConfigError, Problem
from grpo_jax.rewards.registry import one_line
from grpo_jax.rollout.trajectory import Generate

BoundFunction = Callable[[Problem, Generate], Awaitable[Any]]

ENVIRONMENTS = "grpo_jax.rollout.environments"
READY = {
    "function_calling": f"{ENVIRONMENTS}.function_calling:FunctionCalling",
    "python_interpreter": f"{ENVIRONMENTS}.python_interpreter:PythonInterpreter",
    "guess_number": f"{ENVIRONMENTS}.guess_number:guess_number",
    "grid_world": f"{ENVIRONMENTS}.grid_world:grid_world",
}
"""Name of a ready rollout function -> where it is."""


class RolloutFunctions(Mapping[str, BoundFunction]):
    """The rollout functions of a run by domain; domains without one are not in it."""

    def __init__(self, config: RunConfig):
        """Find and bind all.

        Raises:
            ConfigError: A function cannot be found, is not async, or has no such setting; or the run has several hosts,
                which sample in lockstep, as functions that wait for a host's own clock do not; or it carries over
                what must repeat itself.
        """
        self._functions: dict[str, BoundFunction] = {}
        for name, domain in config.domains.items():
            if domain.rollout is None:
                if domain.rollout_settings:
                    raise ConfigError(f"domains.{name}.rollout_settings is given, but domains.{name}.rollout is not")
                continue
            if jax.process_count() > 1:
                raise ConfigError(
                    f"domains.{name}.rollout needs a run of one host, this one has {jax.process_count()}: hosts sample "
                    "in lockstep; leave it out, or use one host with all devices"
                )
            if config.sampling.carry_over and not config.rollout.max_staleness:
                raise ConfigError(
                    f"sampling.carry_over=true repeats itself to the token, which domains.{name}.rollout, going by the "
                    "clock, cannot; set sampling.carry_over=false, with rollout.max_staleness=1 to sample ahead"
                )
            where = f"domains.{name}.rollout"
            try:
                self._functions[name] = _bind(_find(domain.rollout, where), domain.rollout_settings, where, config)
            except BaseException:
                self.close()
                raise

    def __getitem__(self, domain: str) -> BoundFunction:
        return self._functions[domain]

    def __iter__(self):
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def close(self) -> None:
        """Close those that are to be closed; safe to repeat."""
        for function in self._functions.values():
            if not inspect.isroutine(function) and hasattr(function, "close"):
                function.close()  # type: ignore[attr-defined]
        self._functions = {}


def _find(given: Any, where: str) -> Any:
    if not isinstance(given, str):
        return given
    target = READY.get(given, given)
    module_path, _, attribute = target.rpartition(":" if ":" in target else ".")
    if not module_path or target.endswith(".py"):
        known = ", ".join(READY)
        raise ConfigError(
            f"{where}={given!r} is no ready function ({known}); own ones are module:function or file.py:function"
        )
    try:
        module = _module_of_file(module_path) if module_path.endswith(".py") else importlib.import_module(module_path)
    except Exception as error:
        raise ConfigError(f"{where}={given!r}: importing {module_path!r} failed: {one_line(error)}") from error
    if not callable(getattr(module, attribute, None)):
        raise ConfigError(f"{where}={given!r}: {module_path} has no function {attribute!r}")
    return getattr(module, attribute)


def _module_of_file(path: str) -> Any:
    location = Path(path).resolve()
    name = f"grpo_jax_rollout_file_{location.stem}_{zlib.crc32(str(location).encode()):08x}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, location)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _bind(function: Any, settings: Mapping[str, Any], where: str, config: RunConfig) -> Any:
    is_class = inspect.isclass(function)
    asynchronous = function.__call__ if is_class or not inspect.isroutine(function) else function
    if not inspect.iscoroutinefunction(asynchronous):
        raise ConfigError(f"{where}: {getattr(function, '__qualname__', function)} is not async; write `async def`")
    parameters = inspect.signature(function).parameters.values()
    keywords = [own.name for own in parameters if own.kind is own.KEYWORD_ONLY and own.name != "config"]
    open_ended = any(own.kind is own.VAR_KEYWORD for own in parameters)
    for name in settings:
        if name not in keywords and not open_ended:
            known = ", ".join(keywords) or "none"
            raise ConfigError(f"{where}_settings names {name!r}, which the function lacks; it has {known}")
    if not is_class:
        return functools.partial(function, **settings) if settings else function
    wants_config = any(own.name == "config" for own in parameters)
    try:
        return function(**settings, **({"config": config} if wants_config else {}))
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}_settings: {one_line(error)}") from error
