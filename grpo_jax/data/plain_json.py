# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Values of pyarrow, NumPy and reasoning-gym as plain JSON values, so that a problem survives any process boundary."""

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from grpo_jax.records import ConfigError

_PLAIN = frozenset((str, int, bool, type(None)))


def plain_json(value: Any, where: str) -> Any:
    """Turn a value into dicts with string keys, lists, strings, numbers, booleans and None.

    Tuples and arrays become lists, enum members their values, integer keys strings, as a trip through JSON text would
    make them. What JSON cannot hold is refused instead of being changed.

    Args:
        value: Any nesting of the above.
        where: File, row and field, for the message.

    Raises:
        ConfigError: A part is not finite, or is bytes, a date or another object without a JSON form.
    """
    # Most values of rows are plain already; the places of their parts are only written out for the others.
    if type(value) in _PLAIN:
        return value
    if type(value) is dict:
        return {
            key if type(key) is str else _plain_key(key, where): (
                item if type(item) in _PLAIN else plain_json(item, f"{where}.{key}")
            )
            for key, item in value.items()
        }
    if type(value) is list:
        return [
            item if type(item) in _PLAIN else plain_json(item, f"{where}[{index}]") for index, item in enumerate(value)
        ]
    if isinstance(value, Enum):
        return plain_json(value.value, where)
    if isinstance(value, np.generic):
        return plain_json(value.item(), where)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{where} is {value}; JSON has no such number, use null or leave the field out")
        return float(value)
    if isinstance(value, np.ndarray):
        return plain_json(value.tolist(), where)
    if isinstance(value, list | tuple):
        return plain_json([*value], where)
    if isinstance(value, Mapping):
        return {_plain_key(key, where): plain_json(item, f"{where}.{key}") for key, item in value.items()}
    if hasattr(value, "as_py"):
        return plain_json(value.as_py(), where)
    raise ConfigError(f"{where} is of type {type(value).__name__}, which JSON cannot hold; store it as text")


def _plain_key(key: Any, where: str) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise ConfigError(f"{where} has the key {key!r} of type {type(key).__name__}; keys must be strings")
    return str(key)
