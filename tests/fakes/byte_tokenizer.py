# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A tokenizer whose ids are bytes: no files, no network, every text round-trips.

`save` writes the same tokenizer as a Hugging Face folder; both give the same ids for the same text.
"""

from collections.abc import Sequence
from pathlib import Path

from grpo_jax.records import Message

PAD_ID = 256
STOP_ID = 257
VOCAB_SIZE = 258

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


class ByteTokenizer:
    """`records.Tokenizer` over UTF-8 bytes 0..255, a pad id and a stop id."""

    vocab_size = VOCAB_SIZE
    pad_id = PAD_ID
    stop_ids = (STOP_ID,)

    def encode(self, text: str) -> list[int]:
        """One id a byte."""
        return list(text.encode())

    def encode_chat(self, messages: Sequence[Message], tools: object = None) -> list[int]:
        """Lines of `role: content`, then `assistant:`."""
        return self.encode(self._lines(messages))

    def encode_reply(self, messages: Sequence[Message]) -> list[int]:
        """The end of the assistant's line, and the lines after it."""
        return self.encode("\n" + self._lines(messages))

    def _lines(self, messages: Sequence[Message]) -> str:
        lines = [f"{message['role']}: {message['content']}\n" for message in messages]
        return "".join(lines) + "assistant:"

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the bytes; pad, stop and unused ids are left out."""
        return bytes(int(token_id) for token_id in token_ids if token_id < PAD_ID).decode(errors="replace")

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json, tokenizer_config.json and the chat template."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        vocabulary = {character: byte for byte, character in enumerate(byte_characters())}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(["<pad>", "<stop>"])
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<stop>", chat_template=CHAT_TEMPLATE
        ).save_pretrained(folder)


def byte_characters() -> list[str]:
    """The character by which byte-level BPE writes each byte: itself where printable, else one from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    substitutes = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(substitutes)) for byte in range(256)]
