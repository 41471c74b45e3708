# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A calculator, with the functions that the leaderboard's `math_api` describes."""

import math
import statistics
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

Result = dict[str, float]


class Calculator:
    """Has no state; every function returns {"result": number}."""

    def __init__(self, config: Mapping[str, Any]):
        del config

    def state(self) -> None:
        """Nothing that calls could change."""

    def absolute_value(self, number: float) -> Result:
        """|number|."""
        return {"result": abs(number)}

    def add(self, a: float, b: float) -> Result:
        """Sum of a and b."""
        return {"result": a + b}

    def subtract(self, a: float, b: float) -> Result:
        """Difference a - b."""
        return {"result": a - b}

    def multiply(self, a: float, b: float) -> Result:
        """Product of a and b."""
        return {"result": a * b}

    def divide(self, a: float, b: float) -> Result:
        """Quotient a / b."""
        if b == 0:
            raise CallError("Cannot divide by zero")
        return {"result": a / b}

    def power(self, base: float, exponent: float) -> Result:
        """Base to the exponent."""
        return {"result": float(base) ** exponent}

    def square_root(self, number: float, precision: int) -> Result:
        """Square root, rounded to so many decimals."""
        if number < 0:
            raise CallError("Cannot calculate the square root of a negative number")
        return {"result": round(math.sqrt(number), precision)}

    def logarithm(self, value: float, base: float, precision: int) -> Result:
        """Logarithm to a base, rounded to so many decimals."""
        return {"result": round(math.log(value, base), precision)}

    def mean(self, numbers: Sequence[float]) -> Result:
        """Arithmetic mean."""
        return {"result": statistics.fmean(numbers)}

    def standard_deviation(self, numbers: Sequence[float]) -> Result:
        """Standard deviation of a population."""
        return {"result": statistics.pstdev(numbers)}

    def sum_values(self, numbers: Sequence[float]) -> Result:
        """Sum of all."""
        return {"result": math.fsum(numbers)}

    def max_value(self, numbers: Sequence[float]) -> Result:
        """Largest of all."""
        return {"result": max(numbers)}

    def min_value(self, numbers: Sequence[float]) -> Result:
        """Smallest of all."""
        return {"result": min(numbers)}

    def percentage(self, part: float, whole: float) -> Result:
        """Part of the whole, in percent."""
        return {"result": part / whole * 100}

    def round_number(self, number: float, decimal_places: int = 0) -> Result:
        """Number with so many decimals."""
        return {"result": round(number, decimal_places)}

    def si_unit_conversion(self, value: float, unit_in: str, unit_out: str) -> Result:
        """Value in another multiple of the same SI unit, such as kilometer to meter."""
        scales = [_scale(unit_in), _scale(unit_out)]
        if scales[0][1] != scales[1][1]:
            raise CallError(f"{unit_in} and {unit_out} measure different things")
        return {"result": value * scales[0][0] / scales[1][0]}

    def imperial_si_conversion(self, value: float, unit_in: str, unit_out: str) -> Result:
        """Value in the other system of units."""
        for (metric, imperial), factor in _IMPERIAL.items():
            if (unit_in, unit_out) == (metric, imperial):
                return {"result": value * factor}
            if (unit_in, unit_out) == (imperial, metric):
                return {"result": value / factor}
        raise CallError(f"Conversion from {unit_in} to {unit_out} is not supported")


def _scale(unit: str) -> tuple[float, str]:
    prefix = next((own for own in _SI if own and unit.startswith(own)), "")
    return _SI[prefix], unit.removeprefix(prefix).rstrip("s")
