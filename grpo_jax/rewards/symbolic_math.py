# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Compares two math expressions with math-verify and sympy, behind guards.

Completions are adversarial: `9^{9^{9^9}}` holds the interpreter lock inside one integer operation, where no alarm
reaches it. The guards refuse what could grow without bound; the library's own alarm (which works on a process' main
thread only) and, last, the pool's kill are behind them. The library's float comparison has a tolerance; an equality
of numbers that it reports is confirmed to 30 digits, with decimals as exact rationals.
"""

import functools
import re
from typing import Any

from grpo_jax.records import RewardStatus
from grpo_jax.rewards.exact_values import MAX_LENGTH

_ALARM_SECONDS = 2
_MAX_DEPTH = 12
_MAX_EXPONENT = 400
_MAX_EXPANDED_EXPONENT = 40
_MAX_BINOMIAL = 1000
_MAX_DIGITS = 60
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp sqrt frac pi max min gcd lcm mod".split()
)
_COMMANDS = _FUNCTIONS | frozenset(
    "cdot times pm infty theta alpha beta gamma delta epsilon lambda mu nu rho sigma tau phi varphi psi omega Omega "
    "Delta leq geq neq le ge in cup cap setminus emptyset binom lfloor rfloor lceil rceil overline bar begin end vec "
    "langle rangle operatorname mathbb to circ angle triangle equiv pmod bmod mid ldots cdots dots hat sum".split()
)
_EXPONENT = re.compile(r"\^\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\([^()]*\)|-?[\w.\\]+)")
_ANOTHER_POWER = re.compile(r"\s*\^")


def refusal(text: str) -> str:
    """Why an expression is not given to sympy; empty where it is harmless."""
    if len(text) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH} characters"
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        return "nested too deeply"
    if re.search(rf"\d{{{_MAX_DIGITS + 1}}}", text):
        return "a number of too many digits"
    if re.search(r"[)}!]\s*!|\d{3,}\s*!|[.\\]\w*!", text):
        return "a factorial that may be huge"
    if re.search(r"(?<![_\d])\d+\s+\d", text):
        return "two numbers side by side"
    if "\\binom" in text and ("^" in text or any(int(digits) > _MAX_BINOMIAL for digits in re.findall(r"\d+", text))):
        return "a binomial coefficient that may be huge"
    raised = 1
    for match in _EXPONENT.finditer(text):
        exponent = match.group(1)
        if "^" in exponent or "!" in exponent or _ANOTHER_POWER.match(text, match.end()):
            return "a tower of powers"
        size = 1
        for digits in re.findall(r"\d+", exponent):
            size *= max(int(digits), 1)
        if text[: match.start()].rstrip().endswith((")", "}", "]")):
            raised *= max(size, 1)
            base = text[: match.start()]
            if size > _MAX_EXPANDED_EXPONENT and re.search(r"[a-zA-Z]", base) and re.search(r"[+-]", base):
                return "a power of a sum with too many terms"
        if size > _MAX_EXPONENT or raised > _MAX_EXPONENT * 4:
            return "an exponent that may be huge"
    if re.search(r"\\(?:int|sum|prod|lim)(?![a-zA-Z])", text):
        return "an unevaluated sum, product, integral or limit"
    if "__" in text or any(word not in _COMMANDS for word in re.findall(r"\\([a-zA-Z]+)", text)):
        return "a command outside mathematics"
    if any(word not in _FUNCTIONS for word in re.findall(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}", _without_environments(text))):
        return "words"
    return ""


def _without_environments(text: str) -> str:
    return re.sub(r"\\(?:begin|end)\{[pbB]?matrix\}", "", text)


def _latex(text: str) -> str:
    """Turn typed mathematics (`sqrt(2)`, `x**2`, `pi`) into LaTeX; LaTeX passes unchanged."""
    text = re.sub(r"(?<!\\)sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text.replace("**", "^"))
    text = re.sub(r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"\\sqrt\s*(\d)(?!\d)", r"\\sqrt{\1}", re.sub(r"\\sqrt\s*(\d{2,})", r"\\sqrt{\1}", text))
    text = re.sub(r"(?<![\\a-zA-Z])(sin|cos|tan|log|ln|exp|pi|theta)(?![a-zA-Z])", r"\\\1 ", text)
    text = re.sub(r"\^\s*\(([^()]*)\)", r"^{\1}", re.sub(r"\^\s*(-?\d{2,}|-\d)", r"^{\1}", text))
    return text.replace("*", r" \cdot ")


def _tell_cases_apart(gold: str, candidate: str) -> tuple[str, str]:
    """Give capital letters whose small form occurs too an unused Greek name; the parser would take n and N for one."""
    both = f"{gold} {candidate}"
    free = [name for name in ("omega", "psi", "varphi", "tau", "rho", "sigma") if f"\\{name}" not in both]
    letters = set(re.sub(r"\\[a-zA-Z]+", " ", both))
    clashing = sorted(letter for letter in letters if letter.isupper() and letter.lower() in letters)
    for letter, name in zip(clashing, free, strict=False):
        pattern = re.compile(rf"(\\[a-zA-Z]+)|{letter}")
        gold, candidate = (
            pattern.sub(lambda match, name=name: match.group(1) or f"\\{name} ", text) for text in (gold, candidate)
        )
    return gold, candidate


def _with_imaginary_unit(parsed: Any) -> Any:
    """Read the letter i as the imaginary unit; the parser gives it different assumptions from place to place."""
    import sympy

    if not isinstance(parsed, sympy.Expr):
        return parsed
    return parsed.xreplace({symbol: sympy.I for symbol in parsed.atoms(sympy.Symbol) if symbol.name == "i"})


@functools.lru_cache(maxsize=512)
def _parse(text: str) -> list[Any]:
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    # Units are this package's business: the library's own rule would read "10 am" as 10.
    reading = LatexExtractionConfig(normalization_config=NormalizationConfig(units=False, malformed_operators=True))
    found = parse(
        f"${_latex(text)}$",
        extraction_config=[reading],
        fallback_mode="no_fallback",
        parsing_timeout=_ALARM_SECONDS,
        raise_on_error=True,
    )
    return [_with_imaginary_unit(item) for item in found]


def _equal_exactly(gold: object, candidate: object) -> bool:
    """Whether an equality holds without the library's tolerance: decimals are exact, numbers agree to 30 digits.

    True for what is no expression.
    """
    import sympy

    if not (isinstance(gold, sympy.Expr) and isinstance(candidate, sympy.Expr)):
        return True
    decimal = gold.has(sympy.Float) or candidate.has(sympy.Float)
    if decimal:
        gold, candidate = sympy.nsimplify(gold, rational=True), sympy.nsimplify(candidate, rational=True)
    difference = gold - candidate
    if difference == 0:
        return True
    if difference.free_symbols:
        return not decimal or sympy.simplify(difference) == 0
    if gold.free_symbols:
        return False
    size = abs(sympy.N(gold.doit(), 40))
    if size == 0:
        return sympy.simplify(difference) == 0
    return abs(sympy.N(difference.doit(), 40)) <= sympy.Float("1e-30") * size


def compare_symbolic(gold: str, candidate: str) -> RewardStatus:
    """Compare two normalised expressions.

    Returns:
        PASS, FAIL, UNPARSABLE (the candidate is refused or not mathematics) or TIMEOUT.
    """
    if refusal(candidate):
        return RewardStatus.UNPARSABLE
    if refusal(gold):
        return RewardStatus.FAIL
    if ("\\neq" in gold) != ("\\neq" in candidate):
        return RewardStatus.FAIL
    from math_verify import verify
    from math_verify.errors import TimeoutException

    gold, candidate = _tell_cases_apart(gold, candidate)
    try:
        wanted, given = _parse(gold), _parse(candidate)
        if not given:
            return RewardStatus.UNPARSABLE
        if not wanted:
            return RewardStatus.FAIL
        same = verify(wanted, given, timeout_seconds=_ALARM_SECONDS, raise_on_error=True)
        exact = same and bool(_equal_exactly(wanted[0], given[0]))
    except TimeoutException:
        return RewardStatus.TIMEOUT
    except (TypeError, ValueError, AttributeError, NotImplementedError, ArithmeticError, RecursionError) as error:
        if "main thread" in str(error):
            raise
        return RewardStatus.UNPARSABLE
    return RewardStatus.PASS if exact else RewardStatus.FAIL


def warm_up() -> None:
    """Import sympy and build the parser's tables, so that no sample pays for them."""
    compare_symbolic("\\sqrt{8}", "2\\sqrt{2}")
