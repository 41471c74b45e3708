# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The reasoning vocabulary: N rows appended to embedding and output head, copies that a completion may use to reason.

    ids   0 .. V-1   base: the tokenizer's ids and whatever rows the model has beyond them
          V .. V+N-1 twins: V + i starts as a copy of base id i mod V, and reads as it for ever
          V+N ..     padding up to a multiple of `ROW_MULTIPLE`; zeros that never get probability or gradient

At the start a token inside the tags is as likely as before, its probability shared out among the copies of its row.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.records import ConfigError

ROW_MULTIPLE = 128
"""The rows divide by this: by every `tensor` axis of a power of two up to it, and the same rows on every mesh, so that
a checkpoint can be resumed on another."""


@dataclass(frozen=True)
class TokenMap:
    """What stands in `reasoning_token_map.json`: which ids are twins, of which base ids, and between which tags.

    Attributes:
        num_base: Ids of the base model (V).
        num_twins: Ids appended (N).
        tags: Opening and closing tag.
    """

    num_base: int
    num_twins: int
    tags: tuple[str, str]

    def with_copies(self, token_ids: Iterable[int]) -> tuple[int, ...]:
        """Base ids and all their twins, ascending."""
        base = set(token_ids)
        twins = {self.num_base + i for own in base for i in range(own, self.num_twins, self.num_base)}
        return tuple(sorted(base | twins))

    def as_json(self) -> dict[str, Any]:
        """The file's content; `base_ids[i]` is what id `base_vocab_size + i` reads as."""
        return {
            "base_vocab_size": self.num_base,
            "reasoning_vocab_size": self.num_twins,
            "opening_tag": self.tags[0],
            "closing_tag": self.tags[1],
            "base_ids": [i % self.num_base for i in range(self.num_twins)],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], source: str) -> "TokenMap":
        """Read the file's content.

        Raises:
            ConfigError: A field is missing, or the base ids are not what this version gives twins.
        """
        try:
            found = cls(
                int(value["base_vocab_size"]),
                int(value["reasoning_vocab_size"]),
                (str(value["opening_tag"]), str(value["closing_tag"])),
            )
            same = found.num_base > 0 and found.as_json() == value
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{source} is not a reasoning token map: {error!r}; export the model again") from error
        if not same:
            raise ConfigError(f"{source}: base_ids are not i mod base_vocab_size for every i; export the model again")
        return found


def with_twins(arch: Architecture, num_twins: int) -> Architecture:
    """The model with so many twins in all, whatever it had, and padding to `ROW_MULTIPLE`."""
    wanted = arch.num_base_ids + num_twins
    padding = -wanted % ROW_MULTIPLE
    return dataclasses.replace(arch, vocab_size=wanted + padding, num_twins=num_twins, padding_rows=padding)


def without_padding(arch: Architecture) -> Architecture:
    """The model as it is published: base rows and twins."""
    return dataclasses.replace(arch, vocab_size=arch.num_ids, padding_rows=0)


def extended_rows(rows: Float[np.ndarray, "rows D"], arch: Architecture) -> Float[np.ndarray, "V D"]:
    """All rows of a table for `arch`, from those of its base model or from those and the twins' own."""
    if len(rows) == arch.num_base_ids:
        rows = np.concatenate([rows, rows[np.arange(arch.num_twins) % len(rows)]])
    if len(rows) != arch.num_ids:
        raise ValueError(f"a table of {len(rows)} rows is neither that of the base model nor one with its twins")
    return np.pad(rows, ((0, arch.padding_rows), (0, 0)))


class TwinTokenizer(HuggingFaceTokenizer):
    """The base model's tokenizer for a model with twins: they read as their base ids, and end what those end."""

    def __init__(self, base: HuggingFaceTokenizer, token_map: TokenMap):
        """Wrap `base`; its text becomes the same ids as before, since no text has twins in it."""
        super().__init__(base.transformers_tokenizer, base.stop_ids)
        self.pad_id, self._num_base = base.pad_id, token_map.num_base
        self.stop_ids = token_map.with_copies(base.stop_ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids, twins read as their base ids, special tokens left out."""
        return super().decode([int(token_id) % self._num_base for token_id in token_ids])
