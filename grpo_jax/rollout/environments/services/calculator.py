# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A calculator, with the functions that the leaderboard's `math_api` describes."""

import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.rollout.environments.services.service import CallError

_SI = {"kilo": 1e3, "hecto": 1e2, "deca": 1e1, "": 1.0, "deci": 1e-1, "centi": 1e-2, "milli": 1e-3, "micro": 1e-6}
_IMPERIAL = {
    ("cm", "in"): 1 / 2.54,
    ("m", "ft"): 1 / 0.3048,
    ("m", "yd"): 1 / 0.9144,
    ("km", "miles"): 1 / 1.609344,
    ("kg", "lb"): 1 / 0.45359237,
}

_MAX_PLACES = 308
"""Decimals up to which a float differs from 0; whole numbers to more places would take any time and memory."""

Result = dict[str, float]


class Calculator:
    """Has no state; every function returns {"result": number}, or refuses what is no number or has no real result."""

    def __init__(self, config: Mapping[str, Any]):
        del config

    def state(self) -> None:
        """Nothing that calls could change."""

    def absolute_value(self, number: float) -> Result:
        """|number|."""
        return _result(abs(_number(number)))

    def add(self, a: float, b: float) -> Result:
        """Sum of a and b."""
        return _result(_number(a) + _number(b))

    def subtract(self, a: float, b: float) -> Result:
        """Difference a - b."""
        return _result(_number(a) - _number(b))

    def multiply(self, a: float, b: float) -> Result:
        """Product of a and b."""
        return _result(_number(a) * _number(b))

    def divide(self, a: float, b: float) -> Result:
        """Quotient a / b."""
        if _number(b) == 0:
            raise CallError("Cannot divide by zero")
        return _result(_number(a) / b)

    def power(self, base: float, exponent: float) -> Result:
        """Base to the exponent."""
        return _result(float(_number(base)) ** _number(exponent))

    def square_root(self, number: float, precision: int) -> Result:
        """Square root, rounded to so many decimals."""
        if _number(number) < 0:
            raise CallError("Cannot calculate the square root of a negative number")
        return _result(round(math.sqrt(number), _places(precision)))

    def logarithm(self, value: float, base: float, precision: int) -> Result:
        """Logarithm to a base, rounded to so many decimals."""
        return _result(round(math.log(_number(value), _number(base)), _places(precision)))

    def mean(self, numbers: Sequence[float]) -> Result:
        """Arithmetic mean."""
        return _result(statistics.fmean(_numbers(numbers)))

    def standard_deviation(self, numbers: Sequence[float]) -> Result:
        """Standard deviation of a population."""
        return _result(statistics.pstdev(_numbers(numbers)))

    def sum_values(self, numbers: Sequence[float]) -> Result:
        """Sum of all."""
        return _result(math.fsum(_numbers(numbers)))

    def max_value(self, numbers: Sequence[float]) -> Result:
        """Largest of all."""
        return _result(max(_numbers(numbers)))

    def min_value(self, numbers: Sequence[float]) -> Result:
        """Smallest of all."""
        return _result(min(_numbers(numbers)))

    def percentage(self, part: float, whole: float) -> Result:
        """Part of the whole, in percent."""
        return _result(_number(part) / _number(whole) * 100)

    def round_number(self, number: float, decimal_places: int = 0) -> Result:
        """Number with so many decimals."""
        return _result(round(_number(number), _places(decimal_places)))

    def si_unit_conversion(self, value: float, unit_in: str, unit_out: str) -> Result:
        """Value in another multiple of the same SI unit, such as kilometer to meter."""
        scales = [_scale(unit_in), _scale(unit_out)]
        if scales[0][1] != scales[1][1]:
            raise CallError(f"{unit_in} and {unit_out} measure different things")
        return _result(_number(value) * scales[0][0] / scales[1][0])

    def imperial_si_conversion(self, value: float, unit_in: str, unit_out: str) -> Result:
        """Value in the other system of units."""
        for (metric, imperial), factor in _IMPERIAL.items():
            if (unit_in, unit_out) == (metric, imperial):
                return _result(_number(value) * factor)
            if (unit_in, unit_out) == (imperial, metric):
                return _result(_number(value) / factor)
        raise CallError(f"Conversion from {unit_in} to {unit_out} is not supported")


def _number(given: object) -> int | float:
    """What was given, if it is a finite number; text times a number, for one, would be long text."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise CallError(f"{given!r} is not a number"[:200])
    if not abs(given) <= sys.float_info.max:
        raise CallError("A number is beyond floating point")
    return given


def _numbers(given: object) -> list[int | float]:
    if not isinstance(given, list | tuple):
        raise CallError("numbers must be a list of numbers")
    return [_number(own) for own in given]


def _places(given: object) -> int:
    places = _number(given)
    if not isinstance(places, int) or abs(places) > _MAX_PLACES:
        raise CallError(f"Decimals must be a whole number of at most {_MAX_PLACES}")
    return places


def _result(number: complex) -> Result:
    if isinstance(number, complex):
        raise CallError("The result is not a real number")
    if isinstance(number, float) and not math.isfinite(number):
        raise CallError("The result is beyond floating point")
    return {"result": number}


def _scale(unit: str) -> tuple[float, str]:
    prefix = next((own for own in _SI if own and unit.startswith(own)), "")
    return _SI[prefix], unit.removeprefix(prefix).rstrip("s")
