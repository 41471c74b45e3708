# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Short free-text answers: exact match and token F1, with several accepted answers.

Both compare as the SQuAD and Natural Questions evaluations do (https://arxiv.org/abs/1606.05250): small letters,
punctuation and the articles a, an, the left out.
"""

import difflib
import re
import string
from collections import Counter

from grpo_jax.records import PartScore, Problem, RewardStatus
from grpo_jax.rewards.extraction import extract_answer, final_part
from grpo_jax.rewards.ground_truth import gold_texts

_MAX_LENGTH = 1000
_MAX_FUZZY_LENGTH = 200
_DROPPED = str.maketrans(dict.fromkeys(string.punctuation + "“”‘’…", ""))
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—", "-"))
_TEXT_COMMAND = re.compile(r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf)|mbox)\s*(?=\{)")
_ARTICLES = frozenset(("a", "an", "the"))


def answer_tokens(text: str) -> list[str]:
    """The words that are compared."""
    plain = _TEXT_COMMAND.sub("", text).casefold().translate(_DASHES).translate(_DROPPED)
    words = plain.split()
    return [word for word in words if word not in _ARTICLES] or words or text.casefold().split()


def token_f1(gold: str, answer: str) -> float:
    """Harmonic mean of precision and recall over the bags of words, in [0, 1]; 1 exactly for equal bags."""
    wanted, given = Counter(answer_tokens(gold)), Counter(answer_tokens(answer))
    common = (wanted & given).total()
    return 2 * common / (wanted.total() + given.total()) if common else 0.0


def _similarity(gold: str, answer: str) -> float:
    left, right = " ".join(answer_tokens(gold)), " ".join(answer_tokens(answer))
    if max(len(left), len(right)) > _MAX_FUZZY_LENGTH:
        return 0.0
    return difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()


def _answer(completion: str, whole_completion: bool) -> str | None:
    found = extract_answer(completion)
    if found is not None:
        return found.text
    whole = final_part(completion).strip()
    return whole if whole_completion and whole else None


def exact_match(
    problem: Problem,
    completion: str,
    *,
    value: float = 1.0,
    near_value: float = 0.0,
    near_similarity: float = 0.85,
    whole_completion: bool = False,
) -> PartScore:
    """Score equality with any accepted answer.

    Args:
        problem: Its `ground_truth` is text or a list of texts.
        completion: Decoded text of the assistant's turn.
        value: For equal words in equal order.
        near_value: Partial credit for an answer at least `near_similarity` like an accepted one, such as a slip in
            spelling; its status is fail all the same.
        near_similarity: Share of characters in common (`difflib.SequenceMatcher.ratio`), in [0, 1]; texts above 200
            characters are never near.
        whole_completion: Where nothing marks the answer, take the whole completion for it.
    """
    golds = gold_texts(problem.ground_truth)
    answer = _answer(completion, whole_completion)
    if answer is None:
        return PartScore(0.0, RewardStatus.NO_ANSWER)
    if len(answer) > _MAX_LENGTH:
        return PartScore(0.0, RewardStatus.UNPARSABLE)
    tokens = answer_tokens(answer)
    if tokens and any(answer_tokens(gold) == tokens for gold in golds):
        return PartScore(value, RewardStatus.PASS, " ".join(tokens))
    near = near_value != 0 and any(_similarity(gold, answer) >= near_similarity for gold in golds)
    return PartScore(near_value if near else 0.0, RewardStatus.FAIL, " ".join(tokens) or None)


def text_f1(problem: Problem, completion: str, *, value: float = 1.0, whole_completion: bool = False) -> PartScore:
    """Score `value` x the best token F1 over the accepted answers; pass means the same words in the same order.

    Args:
        problem: Its `ground_truth` is text or a list of texts.
        completion: Decoded text of the assistant's turn.
        value: For an F1 of 1.
        whole_completion: Where nothing marks the answer, take the whole completion for it.
    """
    exact = exact_match(problem, completion, whole_completion=whole_completion)
    answer = _answer(completion, whole_completion)
    if answer is None or exact.status is RewardStatus.UNPARSABLE:
        return exact
    best = max(token_f1(gold, answer) for gold in gold_texts(problem.ground_truth))
    return PartScore(value * best, exact.status, exact.answer)
