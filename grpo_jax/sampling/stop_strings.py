# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Strings that end a completion: found in the text of its ids as they come, wherever the tokens' borders lie.

The completion keeps the ids up to and with the one that completes the first match, so that what is trained on is what
was sampled, with the sampler's own log-probabilities; ids are never made anew from text. Its text ends before the
string, as OpenAI's and vLLM's does: characters of the last token from the string on are in no text.

A character whose bytes are spread over several tokens is text once its last byte is there; what a tokenizer shows of
it before (U+FFFD at the end) is not looked at.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

UNFINISHED = "�"
"""What decoding puts in the place of bytes that are no character, such as the first ones of one to come."""


class StopSearch:
    """The search in one completion, fed with its ids chunk by chunk.

    A chunk costs the decoding of itself and of the chunk before, however long the completion is: that much context
    shows how the first new token joins the text (decoders drop the space before the first word).
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], strings: Sequence[str]):
        """Start at the beginning of a completion.

        Args:
            decode: Text of ids, special tokens left out, such as a tokenizer's `decode`.
            strings: At least one, none of them empty.
        """
        self._decode, self._strings = decode, tuple(strings)
        self._reach = max(map(len, self._strings)) - 1
        # The context that decoding starts from, and how much of its text the tail holds already.
        self._ids: list[int] = []
        self._num_before = self._num_context = self._context_length = 0
        # The end of the context's text: as much as a match may begin before the new ids.
        self._tail = ""

    def feed(self, token_ids: Sequence[int]) -> int | None:
        """Go on with the ids that follow; not to be called again once it found something.

        Returns:
            Number of ids to keep of all that were fed, the smallest whose text holds one of the strings; None where
            there is none yet.
        """
        first = len(self._ids) + 1
        self._ids.extend(token_ids)
        last = len(self._ids)
        text, finished = self._text_of(last)
        if self._holds(text):
            candidates = range(first, last + 1)
            return self._num_before + candidates[bisect_left(candidates, True, key=self._found_within)]
        if finished:
            self._move_context(text)
        return None

    def _move_context(self, text: str) -> None:
        """Let decoding start from what is new, where that has any text."""
        context = self._decode(self._ids[self._num_context :])
        if not context:
            return
        self._tail = text[len(text) - self._reach :] if len(text) > self._reach else text
        self._num_before += self._num_context
        del self._ids[: self._num_context]
        self._num_context, self._context_length = len(self._ids), len(context)

    def _text_of(self, num_ids: int) -> tuple[str, bool]:
        """The tail and the text after it, and whether it ends with a whole character."""
        decoded = self._decode(self._ids[:num_ids])
        text = decoded.rstrip(UNFINISHED)
        return self._tail + text[self._context_length :], len(text) == len(decoded)

    def _holds(self, text: str) -> bool:
        return any(string in text for string in self._strings)

    def _found_within(self, num_ids: int) -> bool:
        return self._holds(self._text_of(num_ids)[0])


def cut_at_stop(text: str, strings: Sequence[str]) -> str:
    """The text up to where the first of the strings begins; the whole where none is in it."""
    starts = [start for string in strings if (start := text.find(string)) >= 0]
    return text[: min(starts)] if starts else text
