# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer inside a GGUF file, rebuilt with the `tokenizers` library: byte-level BPE and SentencePiece BPE.

`transformers` can read it too, but needs PyTorch for that and gives every model the pre-tokenizer of GPT-2.
"""

from collections.abc import Callable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from grpo_jax.records import ConfigError

_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4
"""Token types of llama.cpp. Control and user-defined tokens are matched whole in text; the former are special."""

_END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>")

_SPACE = "\u2581"
"""How SentencePiece writes a space."""

_LETTERS_AND_NUMBERS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_PATTERN = _LETTERS_AND_NUMBERS % r"\p{N}{1,3}"
_QWEN2_PATTERN = _LETTERS_AND_NUMBERS % r"\p{N}"


def build_tokenizer(source: str, get: Callable[[str], Any]) -> PreTrainedTokenizerFast:
    """A fast tokenizer with special tokens and chat template.

    Args:
        source: Name for messages, and `name_or_path` of the result.
        get: Value of a metadata key, None where absent.

    Raises:
        ConfigError: For a kind of tokenizer or pre-tokenizer that is not known here.
    """
    kind = get("tokenizer.ggml.model")
    if kind not in _BUILDERS:
        raise ConfigError(
            f"{source}: tokenizer.ggml.model={kind!r} is not supported; supported are {' and '.join(_BUILDERS)}. "
            "Use the Hugging Face folder of this model instead"
        )
    tokens, types = get("tokenizer.ggml.tokens"), get("tokenizer.ggml.token_type")
    if kind == "llama":
        # SentencePiece matches these before it turns spaces into its own mark.
        pairs = zip(tokens, types, strict=True)
        tokens = [token.replace(_SPACE, " ") if type_ == _USER_DEFINED else token for token, type_ in pairs]
    tokenizer = _BUILDERS[kind](source, tokens, types, get)
    control = [token for token, type_ in zip(tokens, types, strict=True) if type_ == _CONTROL]
    tokenizer.add_special_tokens([_added(token) for token in control])
    user_defined = [token for token, type_ in zip(tokens, types, strict=True) if type_ == _USER_DEFINED]
    tokenizer.add_tokens([_added(token) for token in user_defined])
    named = {
        "bos_token": get("tokenizer.ggml.bos_token_id"),
        "eos_token": get("tokenizer.ggml.eos_token_id"),
        "unk_token": get("tokenizer.ggml.unknown_token_id"),
        "pad_token": get("tokenizer.ggml.padding_token_id"),
    }
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        chat_template=get("tokenizer.chat_template"),
        **{name: tokens[token_id] for name, token_id in named.items() if token_id is not None},
    )
    fast.name_or_path = source
    return fast


def _byte_level(source: str, tokens: list[str], types: list[int], get: Callable[[str], Any]) -> Tokenizer:
    pre = get("tokenizer.ggml.pre")
    if pre not in _PRE_TOKENIZERS:
        known = ", ".join(sorted(_PRE_TOKENIZERS))
        raise ConfigError(f"{source}: tokenizer.ggml.pre={pre!r} is not supported; supported are {known}")
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    merges = [tuple(merge.split(" ", 1)) for merge in get("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=pre in _WHOLE_WORDS_FIRST))
    tokenizer.pre_tokenizer = _PRE_TOKENIZERS[pre]()
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentence_piece(source: str, tokens: list[str], types: list[int], get: Callable[[str], Any]) -> Tokenizer:
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    scores = get("tokenizer.ggml.scores")
    if scores is None:
        raise ConfigError(f"{source}: tokenizer.ggml.scores is missing")
    normal = {token for token, type_ in zip(tokens, types, strict=True) if type_ == _NORMAL}
    # SentencePiece joins the neighbours whose union scores highest; merge rules by falling score do the same.
    merges = [
        (token[:cut], token[cut:])
        for token in sorted(normal, key=lambda token: (-scores[vocabulary[token]], vocabulary[token]))
        for cut in range(1, len(token))
        if token[:cut] in normal and token[cut:] in normal
    ]
    unknown = tokens[get("tokenizer.ggml.unknown_token_id") or 0]
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    prefixed = get("tokenizer.ggml.add_space_prefix") is not False
    marks = [normalizers.Replace(" ", _SPACE)]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), *marks] if prefixed else marks)
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefixed else steps)
    return tokenizer


_BUILDERS = {"gpt2": _byte_level, "llama": _sentence_piece}
"""`tokenizer.ggml.model` to how it is built."""


def end_of_turn_ids(get: Callable[[str], Any]) -> tuple[int, ...]:
    """Ids beside eos that end the assistant's turn: by metadata, else by the names that llama.cpp looks for."""
    stated = [get(f"tokenizer.ggml.{name}_token_id") for name in ("eot", "eom")]
    if any(token_id is not None for token_id in stated):
        return tuple(token_id for token_id in stated if token_id is not None)
    tokens = get("tokenizer.ggml.tokens")
    return tuple(token_id for token_id, token in enumerate(tokens) if token in _END_OF_TURN)


def _added(token: str) -> AddedToken:
    return AddedToken(token, normalized=False)


def _digits_alone() -> pre_tokenizers.PreTokenizer:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])


def _by_pattern(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _gpt2() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


_PRE_TOKENIZERS: dict[str, Callable[[], pre_tokenizers.PreTokenizer]] = {
    "gpt-2": _gpt2,
    "smollm": _digits_alone,
    "llama-bpe": lambda: _by_pattern(_LLAMA3_PATTERN),
    "qwen2": lambda: _by_pattern(_QWEN2_PATTERN),
}
_WHOLE_WORDS_FIRST = ("llama-bpe",)
"""Llama 3 takes a word that is in the vocabulary as it stands, without going through the merges."""
