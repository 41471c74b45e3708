# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Problems to prompts, with the limit on their length: `data.overlong_prompts`.

Truncation takes characters out of the middle of the last user message and encodes the conversation anew, so that the
chat template, the system prompt and the instructions at either end of the message stay whole.
"""

from dataclasses import replace

import numpy as np

from grpo_jax.data.schema import asked_message
from grpo_jax.records import ConfigError, Message, Problem, Prompt, Tokenizer

GAP = " … "
"""Stands where text was taken out."""


class PromptEncoder:
    """Makes prompts of problems; calls with the same problem give the same prompt.

    Args:
        tokenizer: Its chat template counts towards the length.
        max_prompt_tokens: Longest prompt.
        overlong: `drop` makes an overlong problem None, `truncate` cuts the user's text, `error` raises.
    """

    def __init__(self, tokenizer: Tokenizer, max_prompt_tokens: int, overlong: str) -> None:
        self._tokenizer = tokenizer
        self.max_prompt_tokens = max_prompt_tokens
        self._overlong = overlong

    def __call__(self, problem: Problem) -> Prompt | None:
        """The prompt, or None where it is too long and to be dropped, or too long without any of the user's text.

        Raises:
            ConfigError: It is too long and such are errors.
        """
        token_ids = self._tokenizer.encode_chat(problem.messages)
        if len(token_ids) <= self.max_prompt_tokens:
            return Prompt(problem, np.asarray(token_ids, dtype=np.int32))
        if self._overlong == "error":
            raise ConfigError(
                f"problem {problem.id} has a prompt of {len(token_ids)} tokens, above "
                f"data.max_prompt_tokens={self.max_prompt_tokens}; raise it or set data.overlong_prompts to drop or "
                "truncate"
            )
        return self._truncated(problem) if self._overlong == "truncate" else None

    def num_tokens(self, problem: Problem) -> int:
        """Length of the whole prompt."""
        return len(self._tokenizer.encode_chat(problem.messages))

    def _truncated(self, problem: Problem) -> Prompt | None:
        """The prompt that keeps most characters, found by halving; each try is encoded, so the result does fit."""
        place = asked_message(problem.messages)
        role, text = problem.messages[place]["role"], problem.messages[place]["content"]
        found: Prompt | None = None
        low, high = 0, len(text) - 1
        while low <= high:
            kept = (low + high) // 2
            cut = text[: (kept + 1) // 2] + GAP + text[len(text) - kept // 2 :]
            own: Message = {"role": role, "content": cut}
            messages = (*problem.messages[:place], own, *problem.messages[place + 1 :])
            token_ids = self._tokenizer.encode_chat(messages)
            if len(token_ids) > self.max_prompt_tokens:
                high = kept - 1
                continue
            shorter = replace(problem, messages=messages)
            found = Prompt(shorter, np.asarray(token_ids, dtype=np.int32), truncated=True)
            low = kept + 1
        return found
