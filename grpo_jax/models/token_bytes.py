# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The bytes that each token id adds to decoded text, so that text can be searched without decoding it.

The tokenizer's own decoder says how its tokens spell bytes; one whose tokens do not each stand for fixed bytes (as
WordPiece, where a neighbour decides on a space) is refused. One thing this leaves out: a run of SentencePiece's byte
tokens that is no UTF-8 decodes to replacement marks as a whole, while here each of its bytes counts.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from grpo_jax.records import ConfigError

_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def bytes_of_tokens(vocabulary: Mapping[str, int], decoder: Mapping[str, Any] | None, source: str) -> list[bytes]:
    """Bytes of every id, special tokens written as they are named; ids that no token has add nothing.

    Args:
        vocabulary: Token to id, added tokens included.
        decoder: The `decoder` of a tokenizer.json.
        source: Name of the tokenizer, for the message.

    Raises:
        ConfigError: The decoder has a step that is not known here.
    """
    steps = _steps(decoder, source)
    spelled = [b""] * (max(vocabulary.values()) + 1)
    for token, token_id in vocabulary.items():
        spelled[token_id] = _spell(token, steps)
    return spelled


def byte_level_alphabet() -> dict[str, int]:
    """The character by which byte-level BPE writes each byte: itself where printable, else one from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    substitutes = iter(range(256, 512))
    return {chr(byte) if byte in printable else chr(next(substitutes)): byte for byte in range(256)}


_ALPHABET = byte_level_alphabet()


def _steps(decoder: Mapping[str, Any] | None, source: str) -> list[tuple[str, str, str]]:
    """(kind, old, new) of each step that changes a token's own text."""
    given: Iterable[Mapping[str, Any]] = [] if decoder is None else [decoder]
    if decoder is not None and decoder["type"] == "Sequence":
        given = decoder["decoders"]
    steps = []
    for step in given:
        kind = step["type"]
        if kind in ("ByteLevel", "ByteFallback"):
            steps.append((kind, "", ""))
        elif kind == "Replace" and "String" in step["pattern"]:
            steps.append(("replace", step["pattern"]["String"], step["content"]))
        elif kind == "Metaspace":
            steps.append(("replace", step["replacement"], " "))
        elif kind not in ("Fuse", "Strip"):  # which join tokens, or trim the text as a whole
            raise ConfigError(
                f"tokenizer {source}: a decoder with the step {kind} does not say which bytes a token stands for; "
                "set model.reasoning_vocab_size=0"
            )
    return steps


def _spell(token: str, steps: list[tuple[str, str, str]]) -> bytes:
    for kind, old, new in steps:
        if kind == "replace":
            token = token.replace(old, new)
        elif kind == "ByteFallback" and (found := _FALLBACK.fullmatch(token)):
            return bytes([int(found[1], 16)])
        elif kind == "ByteLevel" and all(character in _ALPHABET for character in token):
            return bytes(_ALPHABET[character] for character in token)
    return token.encode()
