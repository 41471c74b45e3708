# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reads numbers and groups of values out of normalised answers, exactly: rational arithmetic, no tolerance.

A number may carry a percent sign, a scale word (million) and a unit. A group is a tuple, interval, matrix, set, union
or bare list, whose items stay text. What is not one of these returns None and is left to the symbolic comparison.
"""

import functools
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from grpo_jax.rewards.math_notation import split_top_level

MAX_LENGTH = 400
"""Longer answers are not read at all."""
_MAX_EXPONENT = 400

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_SIGNED = rf"[+-]?\s*{_DECIMAL}"
_OPERAND = rf"(?:{_SIGNED}|\(\s*{_SIGNED}\s*\)|\{{\s*{_SIGNED}\s*\}})"
_PLAIN = re.compile(_DECIMAL)
_REPEATING = re.compile(r"(\d*)\.(\d*)\\overline\s*\{?(\d+)\}?")
_FRACTION = re.compile(rf"({_OPERAND})\s*/\s*({_OPERAND})|\\frac\s*\{{\s*({_SIGNED})\s*\}}\s*\{{\s*({_SIGNED})\s*\}}")
_MIXED = re.compile(r"(\d+)(?:\s+(\d+)\s*/\s*(\d+)|\s*\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\})")
_SCIENTIFIC = re.compile(rf"({_DECIMAL})(?:[eE]([+-]?\d+)|\s*\*\s*10\s*\^\s*\{{?\s*([+-]?\d+)\s*\}}?)")
_POWER = re.compile(rf"({_OPERAND})\s*\^\s*(?:\{{\s*([+-]?\d+)\s*\}}|\(\s*([+-]?\d+)\s*\)|([+-]?\d+))")
_PARENTHESES = re.compile(r"\(([^()]*)\)|\{([^{}]*)\}")

_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_UNIT_NAMES = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre", "km": "kilometer kilometre",
    "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile", "g": "gram", "kg": "kilogram", "mg": "milligram",
    "lb": "pound", "oz": "ounce", "s": "second sec", "min": "minute", "h": "hour hr", "day": "", "week": "", "year": "",
    "month": "", "l": "liter litre L", "ml": "milliliter millilitre mL", "N": "newton", "J": "joule", "W": "watt",
    "V": "volt", "A": "ampere", "K": "kelvin", "Pa": "pascal", "Hz": "hertz", "mol": "mole", "degree": "deg",
    "radian": "rad", "dollar": "USD", "cent": "", "mph": "", "kmh": "", "C": "", "F": "",
}  # fmt: skip
_UNITS = {alias: unit for unit, names in _UNIT_NAMES.items() for alias in (unit, *names.split())}
_UNIT_TEXT = re.compile(r"[A-Za-z][A-Za-z/ .()'-]*(?:\^\s*\{?\s*-?\d\s*\}?[A-Za-z/ .]*)*|[a-z]{1,2}[23]")
_WORD_BEFORE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}$")
_NOT_UNITS = frozenset(
    "or and not no neither nor is are but plus minus times over sin cos tan cot sec csc log ln exp sqrt pi mod inf "
    "infinity dozen remainder".split()
)


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value as written: `50%` is 50 with `percent`; `unit` is empty where none stands.

    `letter` says that the unit was written as one letter, which may as well be a variable: `5m`.
    """

    value: Fraction
    percent: bool = False
    unit: str = ""
    letter: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Several values. `shape` tells apart `(1, 2)`, `[1, 2)` and matrices; items are normalised text."""

    kind: Literal["ordered", "unordered"]
    shape: str
    items: tuple[str, ...]


def _decimal(text: str) -> Fraction:
    return Fraction(re.sub(r"[\s,(){}]", "", text))


def _unsigned(text: str) -> Fraction | None:
    if _PLAIN.fullmatch(text):
        return _decimal(text)
    if match := _MIXED.fullmatch(text):
        whole, *parts = (int(part) for part in match.groups() if part is not None)
        return whole + Fraction(parts[0], parts[1]) if parts[1] else None
    if match := _SCIENTIFIC.fullmatch(text):
        exponent = int(match.group(2) or match.group(3))
        return _decimal(match.group(1)) * Fraction(10) ** exponent if abs(exponent) <= _MAX_EXPONENT else None
    if match := _REPEATING.fullmatch(text):
        whole, fixed, period = match.groups()
        repeated = Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
        return Fraction(int(whole or 0)) + Fraction(int(fixed or 0), 10 ** len(fixed)) + repeated
    if match := _FRACTION.fullmatch(text):
        above, below = (_decimal(part) for part in match.groups() if part is not None)
        return above / below if below else None
    if match := _POWER.fullmatch(text):
        if re.match(r"\s*[+-]", match.group(1)):  # -2^2 is -(2^2), and the sign was not taken off here
            return None
        base, exponent = _decimal(match.group(1)), int(match.group(2) or match.group(3) or match.group(4))
        size = max(abs(base.numerator), base.denominator).bit_length() * abs(exponent)
        return base**exponent if size <= 8192 and (base or exponent > 0) else None
    return None


@functools.lru_cache(maxsize=4096)
def rational(text: str) -> Fraction | None:
    """The exact value of one number without percent sign and unit, or None.

    Reads integers with or without thousands separators, decimals (repeating ones too), fractions, mixed numbers,
    a x 10^b and small integer powers. Sums and products are deliberately not worked out.
    """
    text = text.strip()
    sign = 1
    while text[:1] in ("+", "-"):
        sign, text = (-sign if text[0] == "-" else sign), text[1:].lstrip()
    inner = _PARENTHESES.fullmatch(text)
    if inner:
        value = rational(inner.group(1) if inner.group(1) is not None else inner.group(2))
    else:
        value = _unsigned(text)
    return None if value is None else sign * value


def _unit(text: str) -> str | None:
    """The canonical unit (`cm^2`), the text itself for unknown words, None where it is no unit."""
    if not _UNIT_TEXT.fullmatch(text):
        return None
    words = re.findall(r"[A-Za-z]+", text)
    if any(word.lower() in _NOT_UNITS for word in words):
        return None
    power = re.search(r"\^\s*\{?\s*(-?\d)", text) or re.search(r"(?<=[a-z])([23])$", text)
    names = [word for word in words if word.lower() not in ("square", "sq", "squared", "cubic", "cubed")]
    if not power and len(names) < len(words):
        suffix = "^3" if re.search(r"\bcub", text) else "^2"
    else:
        suffix = f"^{power.group(1)}" if power else ""
    if len(names) == 1:
        name = names[0]
        known = _UNITS.get(name) or (_UNITS.get(name.lower()) or _UNITS.get(name.lower().rstrip("s")))
        if known:
            return known + suffix
    return text if all(len(word) >= 3 for word in words[:1]) else None


def split_unit(normal: str) -> tuple[str, str]:
    r"""Take a trailing unit of at least two letters off an expression such as `12\sqrt{13} feet`."""
    match = re.fullmatch(r"(.*[\w})|])\s+([A-Za-z]{2,}[A-Za-z ]*(?:\^\s*\{?\d\}?)?)", normal)
    unit = _unit(match.group(2)) if match and not _WORD_BEFORE.search(match.group(1)) else None
    return (match.group(1), unit) if match and unit else (normal, "")


def known_unit(unit: str) -> bool:
    """Whether a unit was recognised, as against some words behind a number."""
    return unit.partition("^")[0] in _UNIT_NAMES


@functools.lru_cache(maxsize=4096)
def read_number(normal: str) -> Number | None:
    """Read a whole normalised answer as one number with an optional percent sign, scale word and unit."""
    if len(normal) > MAX_LENGTH or not re.search(r"\d", normal):
        return None
    body, percent = (normal[:-1], True) if normal.endswith("%") else (normal, False)
    value = rational(body)
    if value is not None:
        return Number(value, percent)
    if percent:
        return None
    starts = [match.start() for match in re.finditer(r"(?<![A-Za-z\\/^])[A-Za-z]", normal)]
    for start in reversed(starts):
        value = rational(normal[:start])
        if value is None:
            continue
        first, _, rest = normal[start:].partition(" ")
        if first.lower() in _SCALES:
            value, text = value * _SCALES[first.lower()], rest.strip()
        else:
            text = normal[start:].strip()
        unit = _unit(text) if text else ""
        return None if unit is None else Number(value, unit=unit, letter=len(text.partition("^")[0].strip()) == 1)
    if match := re.fullmatch(r"(.*\S)\s*%\s*[A-Za-z ]*", normal):
        value = rational(match.group(1))
        return None if value is None or " or " in normal or " and " in normal else Number(value, True)
    return None


def numbers_equal(gold: Number, candidate: Number) -> bool:
    """Exact equality. Where one side alone says percent the other may be the number or the share; known units agree."""
    if (gold.percent and candidate.unit) or (candidate.percent and gold.unit):
        return False
    if gold.unit != candidate.unit:
        if gold.letter and not candidate.unit:  # `5m` may be a product with a variable m
            return False
        if known_unit(gold.unit) and known_unit(candidate.unit):
            return False
    if gold.value == candidate.value:
        return True
    if gold.percent == candidate.percent:
        return False
    share, other = (gold, candidate) if gold.percent else (candidate, gold)
    return share.value / 100 == other.value


_BRACKETED_ARRAY = re.compile(r"[(\[|]\s*(\\begin\{array\}.*\\end\{array\})\s*[)\]|]", re.DOTALL)
_MATRIX = re.compile(r"\\begin\{([pbB]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}", re.DOTALL)
_BRACKETED = re.compile(r"([(\[]|\\langle)(.*)([)\]]|\\rangle)", re.DOTALL)
_SET = re.compile(r"\\\{(.*)\\\}", re.DOTALL)
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![a-zA-Z])")


def _comma_items(body: str) -> tuple[str, ...]:
    if re.search(r",\s", body):  # with spaced commas as separators, tight ones before three digits mark thousands
        body = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", body)
    return tuple(split_top_level(body, ",;"))


def _encloses(body: str) -> bool:
    """Whether brackets inside are balanced on their own, as in `(1), (2)` they are not."""
    depth = 0
    for character in body:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            return False
    return True


@functools.lru_cache(maxsize=4096)
def read_group(normal: str) -> Group | None:
    """Read a whole normalised answer as a tuple, interval, matrix, set, union or bare list; None for anything else."""
    if len(normal) > MAX_LENGTH:
        return None
    if normal == "\\emptyset" or re.fullmatch(r"\\\{\s*\\\}", normal):
        return Group("unordered", "set", ())
    if match := _BRACKETED_ARRAY.fullmatch(normal):
        normal = match.group(1)
    if match := _MATRIX.fullmatch(normal):
        rows = [split_top_level(row, "&") for row in re.split(r"\\\\", match.group(2).strip().removesuffix("\\\\"))]
        if len({len(row) for row in rows}) != 1:
            return None
        return Group("ordered", f"matrix {len(rows)}x{len(rows[0])}", tuple(item for row in rows for item in row))
    if "\\cup" in normal:
        return Group("unordered", "union", tuple(part.strip() for part in re.split(r"\\cup(?![a-zA-Z])", normal)))
    if (match := _SET.fullmatch(normal)) and "\\{" not in match.group(1) and not re.search(r"\||:", match.group(1)):
        return Group("unordered", "set", tuple(dict.fromkeys(_comma_items(match.group(1)))))
    if (match := _BRACKETED.fullmatch(normal)) and _encloses(match.group(2)):
        items = _comma_items(match.group(2))
        if len(items) > 1 and all(items):
            shape = (match.group(1) + match.group(3)).replace("\\langle", "(").replace("\\rangle", ")")
            return Group("ordered", shape, items)
        return None
    spoken = re.sub(r",?\s+(?:or|and)\s+", ", ", normal)
    items = tuple(item for item in _comma_items(spoken) if item)
    if len(items) > 1:
        return Group("unordered", "list", items)
    if len(_PLUS_MINUS.findall(normal)) == 1:
        return Group("unordered", "list", tuple(_PLUS_MINUS.sub(sign, normal).strip() for sign in "+-"))
    return None
