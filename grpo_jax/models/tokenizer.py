# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer of a model folder behind `records.Tokenizer`.

A `tokenizer.json` is taken literally. `AutoTokenizer` of transformers 5 instead rebuilds the pre-tokenizer of the
class that `tokenizer_config.json` names, and so loses SmolLM2's rule of single digits.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from grpo_jax.models.token_bytes import bytes_of_tokens
from grpo_jax.records import ConfigError, Message

# Written by transformers 5 and either meaningless elsewhere or rejected by transformers 4, which vLLM may run on.
_VERSION_FIVE_FIELDS = ("backend", "is_local", "local_files_only")
_ANSWER = "the-assistant's-own-text"
"""Stands for what was sampled, where a template is asked what comes after it."""


class HuggingFaceTokenizer:
    """A fast tokenizer of `transformers` as `records.Tokenizer`.

    Attributes:
        transformers_tokenizer: The wrapped tokenizer.
        stop_ids: Ids that end a completion, ascending.
        pad_id: Id written into padding.
        vocab_size: One more than the largest id, added tokens included.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, extra_stop_ids: Iterable[int] = ()):
        """Wrap a tokenizer.

        Args:
            tokenizer: A fast tokenizer.
            extra_stop_ids: End ids that the model's configs name, beside the tokenizer's own.

        Raises:
            ConfigError: Where no id at all would end a completion.
        """
        # Its methods are typed as unions over batched and unbatched use; the types of ours are the narrow ones.
        wrapped: Any = tokenizer
        stop_ids = set(extra_stop_ids)
        if wrapped.eos_token_id is not None:
            stop_ids.add(int(wrapped.eos_token_id))
        if not stop_ids:
            raise ConfigError(
                f"tokenizer {tokenizer.name_or_path}: nothing says which token ends a completion; "
                "set eos_token in tokenizer_config.json or eos_token_id in config.json"
            )
        self.transformers_tokenizer = wrapped
        self.stop_ids = tuple(sorted(stop_ids))
        self.pad_id = self.stop_ids[0] if wrapped.pad_token_id is None else int(wrapped.pad_token_id)
        self.vocab_size = max(tokenizer.get_vocab().values()) + 1

    @classmethod
    def from_folder(cls, folder: str | Path) -> "HuggingFaceTokenizer":
        """Read the tokenizer of a Hugging Face folder, with the end ids of all its configs.

        Raises:
            ConfigError: Where the folder holds no tokenizer, or none that ends a completion.
        """
        folder = Path(folder)
        stop_ids = _configured_stop_ids(folder)
        if (folder / "tokenizer.json").is_file():
            return cls(PreTrainedTokenizerFast.from_pretrained(folder), stop_ids)
        if not any((folder / name).is_file() for name in ("tokenizer.model", "vocab.json", "vocab.txt")):
            raise ConfigError(f"{folder}: no tokenizer.json; save one beside the weights (tokenizer.save_pretrained)")
        return cls(AutoTokenizer.from_pretrained(folder), stop_ids)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, no special tokens added."""
        return self.transformers_tokenizer.encode(text, add_special_tokens=False)

    def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> list[int]:
        """Ids of the conversation by the chat template, ending where the assistant's turn begins.

        Args:
            messages: All turns so far.
            tools: JSON schemas of functions that the assistant may call, as the template writes them.

        Raises:
            ConfigError: Where the tokenizer has no chat template.
        """
        return self._templated(messages, tools, tokenize=True)

    def encode_reply(self, messages: Sequence[Message]) -> list[int]:
        """Ids that the chat template puts after an assistant's text: its turn's end, the messages, a new turn's start.

        Appended to sampled ids they go on with a conversation without encoding what was sampled again.

        Raises:
            ConfigError: Where the tokenizer has no chat template, or one that does not show the assistant's text.
        """
        before = [{"role": "user", "content": "."}, {"role": "assistant", "content": _ANSWER}]
        text: str = self._templated([*before, *messages], None, tokenize=False)
        _, shown, suffix = text.partition(_ANSWER)
        if not shown:
            raise ConfigError(
                f"tokenizer {self.transformers_tokenizer.name_or_path}: its chat template leaves an assistant's text "
                "out, so a conversation cannot go on after it"
            )
        return self.encode(suffix)

    def _templated(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None, tokenize: bool) -> Any:
        if not self.transformers_tokenizer.chat_template:
            raise ConfigError(
                f"tokenizer {self.transformers_tokenizer.name_or_path}: no chat template; use an instruct model, or "
                "add chat_template.jinja to the model folder"
            )
        turns = [dict(message) for message in messages]
        return self.transformers_tokenizer.apply_chat_template(
            turns,
            tools=None if tools is None else [dict(tool) for tool in tools],
            add_generation_prompt=True,
            tokenize=tokenize,
            return_dict=False,
        )

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out."""
        return self.transformers_tokenizer.decode(
            [int(token_id) for token_id in token_ids],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )

    def token_bytes(self) -> list[bytes]:
        """What each id adds to decoded text, special tokens as they are named.

        Raises:
            ConfigError: The tokenizer's decoder does not say.
        """
        backend = json.loads(self.transformers_tokenizer.backend_tokenizer.to_str())
        source = str(self.transformers_tokenizer.name_or_path)
        return bytes_of_tokens(self.transformers_tokenizer.get_vocab(), backend["decoder"], source)

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json, tokenizer_config.json and the chat template, for transformers 4 and 5 alike."""
        self.transformers_tokenizer.save_pretrained(folder)
        path = Path(folder) / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        # The generic class keeps tokenizer.json as it is, in both versions; see the module docstring.
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        if isinstance(config.get("extra_special_tokens"), list):
            config["additional_special_tokens"] = config.pop("extra_special_tokens")
        for field in _VERSION_FIVE_FIELDS:
            config.pop(field, None)
        path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def as_ids(value: int | Sequence[int] | None) -> tuple[int, ...]:
    """An `eos_token_id` field, absent, one id or several, as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _configured_stop_ids(folder: Path) -> tuple[int, ...]:
    ids: tuple[int, ...] = ()
    for name in ("config.json", "generation_config.json"):
        path = folder / name
        if path.is_file():
            config = json.loads(path.read_text(encoding="utf-8"))
            ids += as_ids(config.get("eos_token_id")) + as_ids(config.get("text_config", {}).get("eos_token_id"))
    return ids
