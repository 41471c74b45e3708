# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A model of given sizes with random weights and no text: enough to measure speed, and nothing to download."""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import jax
import numpy as np

from grpo_jax.checkpoint.pretrained import Published
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.assembly import Place, place_whole
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.records import Message

NO_STOP_ID = -1
"""An id that no model samples: a completion without another stop runs to its token limit."""
_DRAWN = (1 << 22) - 3
"""Values drawn; larger weights repeat them, at a period that is no multiple of any dim."""


class NumbersTokenizer:
    """Stands where a tokenizer is wanted: ids are words, nothing stops a completion."""

    pad_id = 0
    stop_ids = (NO_STOP_ID,)

    def __init__(self, vocab_size: int):
        self.vocab_size = vocab_size

    def encode(self, text: str) -> list[int]:
        """Ids of words that are numbers; other words hash into the vocabulary."""
        return [int(word) if word.isdecimal() else hash(word) % self.vocab_size for word in text.split()]

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The words of all turns."""
        return [token for message in messages for token in self.encode(message["content"])]

    def decode(self, token_ids: Sequence[int]) -> str:
        """The numbers themselves."""
        return " ".join(map(str, token_ids))


def random_model(arch: Architecture) -> Published:
    """A model that `open_session` takes like a published one; weights are normal with deviation 0.02, norms flat."""
    tokenizer = cast(HuggingFaceTokenizer, NumbersTokenizer(arch.vocab_size))
    return Published(arch, tokenizer, {}, partial(_random_weights, arch))


def _random_weights(arch: Architecture, place: Place | None) -> Params:
    place = place or place_whole
    _, shapes, names = abstract_params(arch)
    drawn = np.random.default_rng(0).standard_normal(_DRAWN, np.float32) * np.float32(0.02)

    def weight(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct, dims: tuple[str, ...]) -> jax.Array:
        if path[-1].key.endswith("norm"):
            values = np.full(leaf.shape, 0.0 if arch.norm_adds_one else 1.0, np.float32)
        else:
            values = np.resize(drawn, leaf.shape)
        return place(values, dims, tuple(key.key for key in path))

    return jax.tree.map_with_path(weight, shapes, names)
