# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where a completion reasons: a finite automaton over token ids that follows two tags through the decoded bytes.

A state says whether the text is inside the tags and how much of the next tag its last bytes spell, so a tag is found
however tokens cut it. With the tags <t> and </t>:

    tokens              a      <     t>x    y     <     /t     >     b
    bytes spelled       a      <     t>x    y     <     /t     >     b
    state before it   out 0  out 0  out 1  in 0  in 0  in 1  in 3  out 0

Rules. The state before a token decides, so the token that completes the opening tag is still chosen outside, and the
one that completes the closing tag inside. After a closing tag an opening one counts again; a tag that is never closed
holds to the end. Tags are looked for in the completion alone, from its first byte on; a completion starts inside
exactly where its prompt ends in the opening tag, white space aside, as chat templates leave it.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Int, Int32, Shaped

from grpo_jax.records import ConfigError


class TagTable(NamedTuple):
    """The automaton as the sampler carries it.

    Attributes:
        after: State after a token, of the state before it and the token's base id.
        num_choices: How many ids, from 0 on, a token in each state is chosen from.
    """

    after: Int[Array, "states V"]
    num_choices: Int32[Array, " states"]


class ReasoningTags:
    """The automaton of a pair of tags over a tokenizer's ids.

    Attributes:
        opening: Tag that a stretch of reasoning begins with.
        closing: Tag that it ends with.
        num_outside: States below this one are outside the tags.
        token_bytes: What each base id adds to the decoded text.
        table: State after a token, of the state before it and the token's id.
    """

    def __init__(self, opening: str, closing: str, token_bytes: Sequence[bytes], num_ids: int):
        """Build the table.

        Args:
            opening: Opening tag, not empty.
            closing: Closing tag, not empty; may equal the opening one.
            token_bytes: What each id adds to the decoded text.
            num_ids: Rows of the embedding table: ids beyond `token_bytes` add nothing.

        Raises:
            ConfigError: A tag is empty, or the token ids spell more than the model has rows for.
        """
        if not opening or not closing:
            raise ConfigError(f"model.reasoning_tags=({opening!r}, {closing!r}): neither tag may be empty")
        if len(token_bytes) > num_ids:
            raise ConfigError(f"the tokenizer has {len(token_bytes)} ids, but the model only {num_ids} rows for them")
        self.opening, self.closing = opening, closing
        self.num_outside = len(opening.encode())
        self.token_bytes = [*token_bytes, *[b""] * (num_ids - len(token_bytes))]
        self.table = self._follow(_byte_table(opening.encode(), closing.encode()))

    @cached_property
    def num_ids(self) -> int:
        """Ids that the table knows; the twin i of a larger vocabulary moves the automaton as its base id does."""
        return self.table.shape[1]

    def start_state(self, prompt_ids: Int32[np.ndarray, " T"]) -> int:
        """State before the first token of a completion of this prompt."""
        tag, tail = self.opening.encode(), b""
        for token_id in reversed(prompt_ids.tolist()):
            tail = self.token_bytes[int(token_id) % self.num_ids] + tail
            if len(tail.rstrip()) >= len(tag):
                break
        return self.num_outside if tail.rstrip().endswith(tag.rstrip()) else 0

    def for_sampling(self, num_twins: int) -> TagTable:
        """The automaton of a model with so many twins, on the host."""
        inside = np.arange(len(self.table)) >= self.num_outside
        return TagTable(self.table, (self.num_ids + inside * num_twins).astype(np.int32))  # type: ignore[arg-type]

    def states_before(
        self, token_ids: Int32[np.ndarray, "B C"], start: Shaped[np.ndarray, " B"]
    ) -> Shaped[np.ndarray, "B C"]:
        """State before every token of given completions; base ids and ids of twins alike."""
        base = base_ids(token_ids, self.num_ids)
        states = np.empty(token_ids.shape, self.table.dtype)
        state = np.asarray(start)
        for column in range(token_ids.shape[1]):
            states[:, column] = state
            state = self.table[state, base[:, column]]
        return states

    def inside(self, token_ids: Int32[np.ndarray, "B C"], start: Shaped[np.ndarray, " B"]) -> Bool[np.ndarray, "B C"]:
        """Whether each token of given completions was chosen inside the tags."""
        return self.states_before(token_ids, start) >= self.num_outside

    def _follow(self, by_byte: Shaped[np.ndarray, "states 256"]) -> Shaped[np.ndarray, "states ids"]:
        """The table over ids: all tokens of a length or more take their next byte at once."""
        lengths = np.array([len(spelled) for spelled in self.token_bytes])
        flat = np.frombuffer(b"".join(self.token_bytes) or b"\0", np.uint8)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        num_states = len(by_byte)
        table = np.repeat(np.arange(num_states, dtype=by_byte.dtype)[:, None], len(lengths), axis=1)
        for position in range(int(lengths.max(initial=0))):
            going = np.flatnonzero(lengths > position)
            table[:, going] = by_byte[table[:, going], flat[starts[going] + position]]
        return table


def base_ids(token_ids: Int32[np.ndarray, "..."], num_base: int) -> Int32[np.ndarray, "..."]:
    """The id that each id reads as: twin i of a vocabulary of V ids, id V + i, reads as id i mod V."""
    return token_ids % num_base


def _byte_table(opening: bytes, closing: bytes) -> Shaped[np.ndarray, "states 256"]:
    """State after a byte, as in the algorithm of Knuth, Morris and Pratt (https://doi.org/10.1137/0206024)."""
    num_states = len(opening) + len(closing)
    table = np.zeros((num_states, 256), np.int8 if num_states < 128 else np.int16)
    for tag, first, after in ((opening, 0, len(opening)), (closing, len(opening), 0)):
        for matched in range(len(tag)):
            for byte in range(256):
                text = tag[:matched] + bytes([byte])
                longest = next(size for size in range(len(text), -1, -1) if text.endswith(tag[:size]))
                table[first + matched, byte] = after if longest == len(tag) else first + longest
    return table
