# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A published model with the reasoning vocabulary that a config asks for, or that the model came with."""

import logging
from typing import Any

import numpy as np

from grpo_jax.checkpoint.pretrained import Published
from grpo_jax.checkpoint.token_map import TOKEN_MAP_FILE
from grpo_jax.model_config import ModelConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.families.assembly import Place, Readable, place_whole
from grpo_jax.models.families.weight_names import Index
from grpo_jax.models.reasoning_tags import ReasoningTags
from grpo_jax.models.transformer import Params
from grpo_jax.models.vocabulary import TokenMap, TwinTokenizer, extended_rows, with_twins
from grpo_jax.records import ConfigError

logger = logging.getLogger(__name__)


def with_reasoning_vocabulary(model: Published, settings: ModelConfig) -> Published:
    """The model whose tables hold base rows, twins and padding; the one given where there are to be no twins.

    A model that was exported with twins keeps them, as they were trained: nothing is appended to it.

    Args:
        model: As `load_published` returns it.
        settings: Says how many twins, and between which tags.

    Raises:
        ConfigError: The model came with other twins or tags than the config asks for.
    """
    token_map = model.token_map
    if token_map is not None:
        _check_agrees(token_map, settings)
    elif not settings.reasoning_vocab_size:
        return model
    else:
        token_map = TokenMap(model.architecture.num_base_ids, settings.reasoning_vocab_size, settings.reasoning_tags)
    arch = with_twins(model.architecture, token_map.num_twins)

    def read_weights(place: Place | None) -> Params:
        place = place or place_whole

        def place_extended(array: Readable, dims: tuple[str, ...], path: tuple[str, ...]) -> Any:
            return place(_ExtendedTable(array, arch) if dims[0] == "vocab" else array, dims, path)

        return model.read_weights(place_extended)

    return Published(
        architecture=arch,
        tokenizer=TwinTokenizer(model.tokenizer, token_map),
        hf_config={**model.hf_config, "vocab_size": arch.num_ids},
        read_weights=read_weights,
        token_map=token_map,
    )


class _ExtendedTable:
    """A stored table with the rows that the twins add to it."""

    def __init__(self, table: Readable, arch: Architecture):
        self._table, self._arch = table, arch
        self.shape, self.dtype = (arch.vocab_size, *table.shape[1:]), table.dtype

    def __getitem__(self, index: Index) -> np.ndarray:
        rows, *columns = index
        return extended_rows(self._table[slice(0, self._table.shape[0]), *columns], self._arch)[rows]

    def astype(self, dtype: Any) -> "_ExtendedTable":
        return _ExtendedTable(self._table.astype(dtype), self._arch)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[tuple(slice(0, size) for size in self.shape)], dtype)


def reasoning_tags(model: Published) -> ReasoningTags | None:
    """The automaton of a model's tags; None for one without twins.

    Raises:
        ConfigError: The tokenizer does not say what its ids spell, or does not spell a tag as it stands.
    """
    if model.token_map is None:
        return None
    spelled = model.tokenizer.token_bytes()
    for tag in model.token_map.tags:
        if tag.encode() not in b"".join(spelled[token_id] for token_id in model.tokenizer.encode(tag)):
            raise ConfigError(
                f"model.reasoning_tags: the tokenizer {model.tokenizer.transformers_tokenizer.name_or_path} does not "
                f"write {tag!r} as it stands; choose another tag"
            )
    return ReasoningTags(*model.token_map.tags, spelled, model.token_map.num_base)


def _check_agrees(token_map: TokenMap, settings: ModelConfig) -> None:
    if not settings.reasoning_vocab_size:
        logger.info("%s has a reasoning vocabulary of %d ids", settings.path, token_map.num_twins)
        return
    if settings.reasoning_vocab_size != token_map.num_twins:
        raise ConfigError(
            f"model.reasoning_vocab_size={settings.reasoning_vocab_size}, but {settings.path}/{TOKEN_MAP_FILE} tells "
            f"of {token_map.num_twins}; leave it out to take what the model has"
        )
    if tuple(settings.reasoning_tags) != token_map.tags:
        raise ConfigError(
            f"model.reasoning_tags={settings.reasoning_tags}, but {settings.path}/{TOKEN_MAP_FILE} tells of "
            f"{token_map.tags}; set model.reasoning_tags to these"
        )
