# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Resolves the names in `Domain.rewards` to reward functions.

A name is a registered one, a dotted path (`my_module:function` or `my_module.function`), or a Python file of the user's
(`path/to/file.py:function`). Settings of the config are bound to the function's keyword-only parameters.

The module of a reward function may also define `check_available(settings)`, called in the main process before anything
starts (raise `ConfigError` where a package is missing), and `warm_up(settings)`, called once in every worker before its
first sample is timed; both are given the `RewardsConfig`. A module whose rewards run model-written code says
`NEEDS_SANDBOX = True`: its workers start only where a sandbox passed its self-test, and see its name in
`RewardsConfig.sandbox`.
"""

import difflib
import functools
import importlib
import importlib.util
import inspect
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast, get_origin, get_type_hints

from grpo_jax.config import RewardsConfig
from grpo_jax.records import ConfigError, RewardFunction
from grpo_jax.typed_values import WrongTypeError, build

REGISTERED = {
    "math": "grpo_jax.rewards.math_answer:math_reward",
    "math_last_number": "grpo_jax.rewards.math_answer:math_last_number_reward",
    "answer_format": "grpo_jax.rewards.behaviour.answer_format:answer_format",
    "answer_given": "grpo_jax.rewards.behaviour.answer_format:answer_given",
    "boxed_format": "grpo_jax.rewards.behaviour.answer_format:boxed_format",
    "format_exact": "grpo_jax.rewards.behaviour.reasoning_format:format_exact",
    "format_approximate": "grpo_jax.rewards.behaviour.reasoning_format:format_approximate",
    "think_format": "grpo_jax.rewards.behaviour.reasoning_format:think_format",
    "answer": "grpo_jax.rewards.behaviour.graded_answer:answer",
    "numbers": "grpo_jax.rewards.behaviour.graded_answer:numbers",
    "refusal": "grpo_jax.rewards.behaviour.refusal:refusal",
    "length_and_rambling": "grpo_jax.rewards.behaviour.rambling:length_and_rambling",
    "reasoning_quality": "grpo_jax.rewards.behaviour.reasoning_quality:reasoning_quality",
    "soft_overlong": "grpo_jax.rewards.behaviour.length_shaping:soft_overlong",
    "cosine_length": "grpo_jax.rewards.behaviour.length_shaping:cosine_length",
    "repetition": "grpo_jax.rewards.behaviour.repetition:repetition",
    "code": "grpo_jax.rewards.code_reward:code",
    "accuracy": "grpo_jax.rewards.accuracy:accuracy",
    "choice": "grpo_jax.rewards.choice_answer:choice",
    "yes_no": "grpo_jax.rewards.yes_no_answer:yes_no",
    "exact_match": "grpo_jax.rewards.text_answer:exact_match",
    "text_f1": "grpo_jax.rewards.text_answer:text_f1",
    "function_calls": "grpo_jax.rewards.calls.function_calls:function_calls",
    "reasoning_gym": "grpo_jax.rewards.reasoning_gym_verifier:reasoning_gym_reward",
    "planning": "grpo_jax.rewards.planning.plan_rewards:planning_reward",
    "planning_dense": "grpo_jax.rewards.planning.plan_rewards:planning_dense_reward",
}
"""Registered name -> `module:function`."""

_CHECKED_HINTS = (bool, int, float, str, bool | None, int | None, float | None, str | None)

Hook = Callable[[RewardsConfig], Any]


def _nothing(_settings: RewardsConfig) -> None:
    """Stand-in for a hook that a module does not define."""


@dataclass(frozen=True, slots=True)
class ResolvedReward:
    """A reward function with the hooks of its module."""

    name: str
    function: RewardFunction
    check_available: Hook
    warm_up: Hook
    needs_sandbox: bool


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
        bool(getattr(module, "NEEDS_SANDBOX", False)),
    )


def bind(name: str, settings: Mapping[str, Any], where: str = "") -> RewardFunction:
    """A reward function with its keyword settings filled in.

    Args:
        name: As for `resolve`.
        settings: Keyword -> value; empty gives the function itself.
        where: The config field that the settings are of, for messages.

    Raises:
        ConfigError: There is no such function, it has no such keyword (the message names the nearest valid ones), or
            a value is not of the parameter's type.
    """
    function = resolve(name).function
    if not settings:
        return function
    parameters = inspect.signature(function).parameters.values()
    keywords = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    hints = get_type_hints(function)
    for keyword, value in settings.items():
        if keyword not in keywords and not open_ended:
            remedy = _nearest(keyword, keywords) if keywords else "it has no settings"
            raise ConfigError(f"{where or 'settings'}: reward {name!r} has no setting {keyword!r}; {remedy}")
        if hints.get(keyword) in _CHECKED_HINTS or get_origin(hints.get(keyword)) is Literal:
            try:
                build(hints[keyword], value, f"{where or 'settings'}: setting {keyword} of reward {name!r}")
            except WrongTypeError as error:
                raise ConfigError(str(error)) from error
    return functools.partial(function, **settings)
