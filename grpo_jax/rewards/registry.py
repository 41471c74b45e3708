# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Resolves the names in `Domain.rewards` to reward functions.

A name is a registered one, a dotted path (`my_module:function` or `my_module.function`), or a Python file of the user's
(`path/to/file.py:function`). The module of a reward function may also define `check_available()`, called in the main
process before anything starts (raise `ConfigError` where a package is missing), and `warm_up()`, called once in every
worker before its first sample is timed.
"""

import difflib
import functools
import importlib
import importlib.util
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from grpo_jax.records import ConfigError, RewardFunction

REGISTERED = {
    "math": "grpo_jax.rewards.math_answer:math_reward",
    "math_last_number": "grpo_jax.rewards.math_answer:math_last_number_reward",
    "answer_format": "grpo_jax.rewards.answer_format:answer_format",
    "answer_given": "grpo_jax.rewards.answer_format:answer_given",
    "boxed_format": "grpo_jax.rewards.answer_format:boxed_format",
    "reasoning_gym": "grpo_jax.rewards.reasoning_gym_verifier:reasoning_gym_reward",
}
"""Registered name -> `module:function`."""


def _nothing() -> None:
    """Stand-in for a hook that a module does not define."""


@dataclass(frozen=True, slots=True)
class ResolvedReward:
    """A reward function with the hooks of its module."""

    name: str
    function: RewardFunction
    check_available: Callable[[], Any]
    warm_up: Callable[[], Any]


def _module_from_file(name: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"reward {name!r}: no file {str(path)!r}")
    location = path.resolve()
    module_name = f"grpo_jax_reward_file_{location.stem}_{zlib.crc32(str(location).encode()):08x}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, location)
    if spec is None or spec.loader is None:
        raise ConfigError(f"reward {name!r}: {str(path)!r} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _module(name: str, module_path: str) -> ModuleType:
    try:
        if module_path.endswith(".py"):
            return _module_from_file(name, Path(module_path))
        return importlib.import_module(module_path)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"reward {name!r}: importing {module_path!r} failed: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """The class of an exception and the first line of its message, at most 300 characters."""
    message = str(error).strip().splitlines()
    return f"{type(error).__name__}: {message[0]}"[:300] if message else type(error).__name__


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"


@functools.cache
def resolve(name: str) -> ResolvedReward:
    """Find a reward function by its registered name or path.

    Raises:
        ConfigError: No such name, module, file or function; the message names the nearest valid ones.
    """
    target = REGISTERED.get(name, name)
    module_path, separator, attribute = target.rpartition(":")
    if not separator:
        module_path, separator, attribute = target.rpartition(".")
    if not separator or not module_path or target.endswith(".py"):
        remedy = "add :function behind the file" if target.endswith(".py") else _nearest(name, list(REGISTERED))
        raise ConfigError(
            f"reward {name!r} is not registered; {remedy} (own functions: module:function or file.py:function)"
        )
    module = _module(name, module_path)
    function = getattr(module, attribute, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ConfigError(f"reward {name!r}: {module_path} has no function {attribute!r}; {_nearest(attribute, own)}")
    return ResolvedReward(
        name,
        cast(RewardFunction, function),
        getattr(module, "check_available", _nothing),
        getattr(module, "warm_up", _nothing),
    )
