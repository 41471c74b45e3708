# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
r"""Brings a math answer into one plain notation, so that the comparison need not know every way of typing it.

After `normalise`: no dollar signs, no spacing or sizing commands, one name per command (`\frac`, `\leq`), text
commands replaced by their text, `*` for products, ASCII signs, `%` for percent, no thousands separators that LaTeX
marks as such.
Commas stay, because `1,234` and `1, 234` mean different things.
"""

import functools
import re

_CHARACTERS = {
    **dict.fromkeys("−–—‐‑‒﹣－", "-"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u3000", " "),
    **dict.fromkeys("\u200b\u200c\u200d\ufeff\u2060", ""),
    "＋": "+", "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "∕": "/", "⁄": "/", "％": "%", "，": ",",
    "π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt", "±": r"\pm ", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ",
    "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "θ": r"\theta ",
    "°": " degrees", "€": "", "£": "", "¥": "", "₹": "", "′": "'",
    "½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4", "⅛": " 1/8", "⅕": " 1/5", "⅜": " 3/8",
}  # fmt: skip
_TRANSLATION = str.maketrans(_CHARACTERS)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:\(|\)|\[|\])|\\?\$", ""),
        (r"\\(?:displaystyle|textstyle|left|right|bigl?|bigr|Bigl?|Bigr|limits|mathstrut)(?![a-zA-Z])\.?", ""),
        (r"(?<=\d)(?:\{,\}|,?\s*\\[,!;:]\s*)(?=\d{3}(?!\d))", ""),
        (r"(?<=\d)\\_(?=\d{3})", ""),
        (r"\\!", ""),
        (r"(?<!\\)\\[,;: ]|\\(?:quad|qquad|enspace|thinspace|space|hspace\{[^{}]*\})(?![a-zA-Z])|~", " "),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:text(?:bf|it|rm|sf)?|math(?:rm|bf|it|sf)|mbox|operatorname)\s*\{([^{}]*)\}", r" \1 "),
        (r"\\(?:bf|rm|it)(?![a-zA-Z])", ""),
        (r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\degree(?![a-zA-Z])", " degrees"),
        (r"\\%|\bper\s?cent(?:age)?\b|\bpercent\b", "%"),
        (r"\\(?:times|cdot|ast)(?![a-zA-Z])|\*(?!\*)(?<!\*\*)", "*"),
        (r"(?<=[\d)}])\s+x\s+(?=10\s*\^)", "*"),
        (r"\\div(?![a-zA-Z])", "/"),
        (r"\\l(?:eqslant|e)(?![a-zA-Z])|<=", r"\\leq "),
        (r"\\g(?:eqslant|e)(?![a-zA-Z])|>=", r"\\geq "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\(?:ne|not\s*=)(?![a-zA-Z])|!=", r"\\neq "),
        (r"\\(?:varnothing|O)(?![a-zA-Z])", r"\\emptyset"),
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*\{([^{}]*)\}\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{"),
        (r"\\(?:mathbb|mathcal)\s*\{?([A-Z])\}?", r"\1"),
        (r"^\s*\\approx(?![a-zA-Z])", ""),
        (r"\s+", " "),
    )
)  # fmt: skip
_WRAPPERS = (("**", "**"), ("`", "`"), ('"', '"'), ("“", "”"))
_OUTER_BRACES = re.compile(r"\{([^{}]*)\}")


def _powers(match: re.Match[str]) -> str:
    return "^{" + match.group().translate(_SUPERSCRIPTS) + "}"


@functools.lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """Rewrite an answer into the notation of the module's docstring."""
    text = text.strip()
    for opening, closing in _WRAPPERS:
        if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing):
            text = text[len(opening) : -len(closing)]
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", _powers, text).translate(_TRANSLATION)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = text.strip().rstrip(".,;: ") if not text.rstrip().endswith("\\") else text.strip()
    outer = _OUTER_BRACES.fullmatch(text)
    return outer.group(1).strip() if outer else text


@functools.lru_cache(maxsize=4096)
def comparison_key(normal: str) -> str:
    """A string that is equal for answers that differ only in white space, harmless braces and, for words, case."""
    key = re.sub(r"(?<=[_^])\{(\w)\}", r"\1", re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", normal))
    return key.casefold() if re.fullmatch(r"[A-Za-z' -]{2,}", normal) else key


def split_top_level(text: str, separators: str) -> list[str]:
    """Split at single characters that stand outside all brackets."""
    parts, depth, start, index = [], 0, 0, 0
    while index < len(text):
        character = text[index]
        if character == "\\":
            if index + 1 < len(text) and text[index + 1] in "{}":
                depth += 1 if text[index + 1] == "{" else -1
            index += 2
            continue
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif depth == 0 and character in separators:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    return [part.strip() for part in (*parts, text[start:])]


_NAME = r"\\?[A-Za-z]+(?:_\{?\w+\}?)?'?(?:\([A-Za-z](?:,\s*[A-Za-z])*\))?"
_ASSIGNED = re.compile(rf"\s*({_NAME}|\([A-Za-z](?:,\s*[A-Za-z])*\))\s*(?:=|\\in(?![a-zA-Z]))(?!=)\s*(.+)", re.DOTALL)
_SWAPPED = re.compile(r"([^<>=]*[^<>=!\s][^<>=]*)=\s*([A-Za-z])\s*")


def split_assignment(normal: str) -> tuple[str, str]:
    r"""Split `x = 5`, `5 = x`, `f(x) = 5`, `(x, y) = (1, 2)` and `x \in S` into a name and what it equals.

    Returns:
        The name without white space (empty where nothing is assigned) and the rest.
    """
    match = _ASSIGNED.fullmatch(normal)
    if match is None and (swapped := _SWAPPED.fullmatch(normal)):
        return swapped.group(2), swapped.group(1).strip()
    if match is None or re.search(r"[<>=]|\\[lg]eq|\\neq", match.group(2)):
        return "", normal
    return re.sub(r"\s+", "", match.group(1)), match.group(2)
