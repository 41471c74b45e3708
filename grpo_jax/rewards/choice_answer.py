# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `choice` reward: does the completion choose the right option of a multiple-choice problem?

A letter counts in any usual dress (`B`, `(b)`, `B.`, `**B**`, `Option B: its text`), the text of exactly one option
does, and so does the number of an option. Two letters or "A or B" are wrong. A capital A before a word is an article.
Without a box, tag or cue only the last line is looked at, and only where it is nothing but a choice.
"""

import re
import string
from collections.abc import Mapping

from grpo_jax.records import PartScore, Problem, RewardStatus
from grpo_jax.rewards.extraction import extract_answer, final_part, find_boxes

_MAX_LENGTH = 2000
_WRAPPING = re.compile(r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf)|mbox|boxed|fbox)\s*(?=\{)|\\[()\[\]]|[{}$*`_\"“”]")
_LEADING_WORD = re.compile(
    r"(?:(?:the|correct|right|best|final|answer|option|choice|letter|is)\b[\s:]*)+", re.IGNORECASE
)
_ALONE = re.compile(r"[(\[]?\s*([A-Za-z]|\d{1,2})\s*[)\]]?\s*[.:,;)]?")
_DRESSED = re.compile(r"[(\[]?([A-Za-z]|\d{1,2})\s*(?:[)\].:,]+|\s-|\s–|\s—)\s*(.+)", re.DOTALL)
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
_CAPITAL = re.compile(r"(?<![\w'’-])([A-J])(?![\w'’])")
_ARTICLE = re.compile(r"\s+(?!(?:or|and|is|because|since)\b)[a-z]", re.IGNORECASE)
_CHOOSING = re.compile(
    r"\b(?:i\s+(?:would\s+)?(?:choose|select|pick)|(?:correct|right|best)\s+(?:option|choice)\s+(?:is|:))\s*:?\s*",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(
    r"\b(?:option|choice)\s+\(?([A-J])\)?\s+is\s+(?:the\s+)?(?:correct|right|best|answer)", re.IGNORECASE
)
_NEGATION = re.compile(r"\b(?:not|no|neither|nor|never|except|none|isn't|cannot)\b", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:not|neither|nor|never|except|isn't|cannot)\b", re.IGNORECASE)
_ARTICLES = frozenset(("a", "an", "the"))
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))


def _words(text: str) -> tuple[str, ...]:
    """Comparable words; articles and punctuation are dropped, unless nothing else is there."""
    plain = text.casefold()
    words = [word for word in plain.translate(_PUNCTUATION).split() if word not in _ARTICLES]
    return tuple(words) or tuple(plain.split())


def _options(problem: Problem) -> tuple[str, dict[str, str]]:
    """The right label and the options by label; of a bare letter only the label is known."""
    truth = problem.ground_truth
    if isinstance(truth, str) and re.fullmatch(r"\(?[A-Ja-j]\)?\.?", truth.strip()):
        return re.sub(r"[^A-Za-z]", "", truth).upper(), dict.fromkeys("ABCDEFGHIJ", "")
    if not isinstance(truth, Mapping) or not isinstance(truth.get("choices"), Mapping):
        raise ValueError(
            f"ground_truth {truth!r} is no choice; it must be a letter or {{'label': ..., 'choices': ...}}"
        )
    label, choices = (
        str(truth.get("label", "")).upper(),
        {str(key).upper(): str(text) for key, text in truth["choices"].items()},
    )
    if label not in choices:
        raise ValueError(f"ground_truth says label {label!r}, which is none of the choices {sorted(choices)}")
    return label, choices


def _named(mark: str, options: Mapping[str, str]) -> str | None:
    """The label that a letter or the number of an option stands for."""
    if mark.upper() in options:
        return mark.upper()
    if mark.isdigit() and 1 <= int(mark) <= len(options):
        return list(options)[int(mark) - 1]
    return None


def _plain(text: str) -> str:
    """Text without markup, on one line."""
    return " ".join(_WRAPPING.sub(" ", text).split())


def _with_text(text: str, options: Mapping[str, str]) -> set[str]:
    """Labels of the options with this text: the very same one where there is one, else with the same words."""
    same = {label for label, option in options.items() if option and _plain(option) == text}
    return same or {label for label, option in options.items() if option and _words(option) == _words(text)}


def _contains(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return bool(part) and f" {' '.join(part)} " in f" {' '.join(words)} "


def _mentioned(text: str, options: Mapping[str, str]) -> set[str]:
    """Labels of the options whose text occurs; one inside a longer one that occurs too does not count."""
    words = _words(text)
    inside = {label: _words(option) for label, option in options.items() if option and _contains(words, _words(option))}
    return {
        label
        for label, own in inside.items()
        if not any(len(other) > len(own) and _contains(other, own) for other in inside.values())
    }


def _letters(text: str, options: Mapping[str, str]) -> dict[str, int]:
    """Labels that stand in the text, with the place of one occurrence each."""
    found = {match.group(1).upper(): match.start() for match in _BRACKETED.finditer(text)}
    for match in _CAPITAL.finditer(text):
        if match.group(1) not in ("A", "I") or not _ARTICLE.match(text, match.end()):
            found.setdefault(match.group(1), match.start())
    return {label: place for label, place in found.items() if label in options}


def _chosen(answer: str, options: Mapping[str, str]) -> set[str]:
    """The labels that an answer names: one for a choice, several where ambiguous, none where unreadable."""
    text = _plain(answer)
    same_text = _with_text(text, options)
    alone = _ALONE.fullmatch(text)
    # An option whose text is `3` goes before option number 3.
    label = _named(alone.group(1), options) if alone and not (same_text and alone.group(1).isdigit()) else None
    if label:
        return {label}
    if len(same_text) == 1:
        return same_text
    lead = _LEADING_WORD.match(text)
    if lead and lead.end() < len(text):
        return _chosen(text[lead.end() :], options)
    dressed = _DRESSED.fullmatch(text)
    if dressed:
        label = _named(dressed.group(1), options)
        stated = _with_text(dressed.group(2), options)
        if label and stated:
            return {label} if label in stated else {label, *stated}
    letters = _letters(text, options)
    if dressed and not letters and dressed.group(1).islower() and (label := _named(dressed.group(1), options)):
        letters = {label: 0}
    if letters:
        return set() if _DENIAL.search(text, 0, min(letters.values())) else set(letters)
    return set() if _NEGATION.search(text) else _mentioned(text, options)


def _answer(completion: str, options: Mapping[str, str]) -> str | None:
    """The text in which the choice is looked for."""
    found = extract_answer(completion)
    if found is not None:
        return found.text
    text = final_part(completion)
    text = text[: find_boxes(text)[1]]  # a box that never closes is no answer
    confirmed = [match.group(1) for match in _CONFIRMED.finditer(text)]
    if confirmed:
        return " or ".join(dict.fromkeys(letter.upper() for letter in confirmed))
    end = None
    for cue in _CHOOSING.finditer(text):
        end = cue.end()
    if end is not None:
        return re.split(r"[.!?](?=\s|$)|\n|[,;]?\s(?:because|since)\b", text[end : end + _MAX_LENGTH])[0]
    last = text.rstrip().rpartition("\n")[2].strip()
    plain = _plain(last[:_MAX_LENGTH])
    dressed = _DRESSED.fullmatch(plain)
    whole = _ALONE.fullmatch(plain) or (dressed and _with_text(dressed.group(2), options))
    return last if whole or _with_text(plain, options) else None


def choice(problem: Problem, completion: str, *, value: float = 1.0, wrong: float = 0.0) -> PartScore:
    """Score the chosen option.

    Args:
        problem: Its `ground_truth` is {"label": "B", "choices": {"A": "...", ...}}, or a letter where the options are
            unknown.
        completion: Decoded text of the assistant's turn.
        value: For the right option.
        wrong: For anything else.

    Returns:
        Pass, fail (another option, or several), no_answer, or unparsable (an answer that names no option).

    Raises:
        ValueError: The ground truth has another form.
    """
    label, options = _options(problem)
    answer = _answer(completion, options)
    if answer is None:
        return PartScore(wrong, RewardStatus.NO_ANSWER)
    chosen = _chosen(answer, options) if len(answer) <= _MAX_LENGTH else set()
    if not chosen:
        return PartScore(wrong, RewardStatus.UNPARSABLE)
    given = ",".join(sorted(chosen))
    return PartScore(value, RewardStatus.PASS, given) if given == label else PartScore(wrong, RewardStatus.FAIL, given)
