# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The only form in which values cross a sandbox's border: JSON of exact built-in types, with tags.

| value | as JSON |
| --- | --- |
| None, bool, str, small int, finite float | itself |
| other int, other float | ["i", hexadecimal], ["f", "nan" / "inf" / "-inf"] |
| complex, bytes | ["c", real, imaginary], ["b", hexadecimal] |
| list, tuple, set, frozenset | ["l" / "t" / "s" / "z", [items]] |
| dict | ["d", [[key, value], ...]] |
| anything else | ["?", name of its type] |

Subclasses are reduced to their base, so that no method of the solution's takes part in a comparison.
"""

import math
from typing import Any

MAX_DEPTH = 100
MAX_NODES = 200_000
_MAX_PLAIN_INT = 2**53
_SEQUENCES = ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "z"))
_BUILDERS = {"l": list, "t": tuple, "s": set, "z": frozenset}


class NotPlainError(Exception):
    """The value, or its encoding, is not plain data."""


def encode(value: Any) -> Any:
    """Turn a value into tagged JSON.

    Raises:
        NotPlainError: It is nested deeper than `MAX_DEPTH` or has more than `MAX_NODES` parts.
    """
    return _encode(value, 0, [MAX_NODES])


def _encode(value: Any, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise NotPlainError("too large")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int.__add__(value, 0)
        return number if -_MAX_PLAIN_INT < number < _MAX_PLAIN_INT else ["i", hex(number)]
    if isinstance(value, float):
        real = float.__add__(value, 0.0)
        return real if math.isfinite(real) else ["f", repr(real)]
    if isinstance(value, complex):
        return ["c", _encode(value.real, depth, budget), _encode(value.imag, depth, budget)]
    if isinstance(value, (bytes, bytearray)):
        return ["b", value.hex()]
    for kind, tag in _SEQUENCES:
        if isinstance(value, kind):
            items: Any = kind.__iter__  # the base's own: a subclass's would be the solution's code
            return [tag, [_encode(item, depth + 1, budget) for item in items(value)]]
    if isinstance(value, dict):
        pairs = dict.items(value)
        return ["d", [[_encode(key, depth + 1, budget), _encode(item, depth + 1, budget)] for key, item in pairs]]
    return ["?", type(value).__name__]


def decode(encoded: Any) -> Any:
    """Turn tagged JSON back into built-in values.

    Only for use inside a sandbox: a set or dict made to collide can take long.

    Raises:
        NotPlainError: It is not such an encoding, or holds an opaque value.
    """
    if encoded is None or isinstance(encoded, (bool, int, float, str)):
        return encoded
    try:
        match encoded:
            case ["i", str(digits)]:
                return int(digits, 16)
            case ["f", str(text)]:
                return float(text)
            case ["c", real, imaginary]:
                return complex(decode(real), decode(imaginary))
            case ["b", str(digits)]:
                return bytes.fromhex(digits)
            case ["l" | "t" | "s" | "z" as tag, list(items)]:
                return _BUILDERS[tag](decode(item) for item in items)
            case ["d", list(pairs)]:
                return {decode(key): decode(item) for key, item in pairs}
    except (TypeError, ValueError) as error:
        raise NotPlainError(str(error)) from error
    raise NotPlainError(f"not plain data: {str(encoded)[:80]}")
