# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenizers rebuilt from GGUF metadata give the ids of the tokenizers that they were written from."""

import argparse
import inspect
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from grpo_jax.checkpoint.gguf_tokenizer import build_tokenizer, end_of_turn_ids
from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.records import ConfigError

_TEXTS = (
    "What is 12345 + 0.5 - 37%? It's 1,000,000!",
    "  two  spaces,\ttabs\t\t and\n\nlines \r\n end  ",
    "naïve café e\u0301 ½ ² ٣٤ 漢字とかな 🙂👩‍🔬",
    "def f(x):\n    return {'a': x**2}  # DON'T\n",
    "",
)


def _metadata(folder: Path, pre: str) -> dict[str, Any]:
    """GGUF metadata as llama.cpp would write it for a published tokenizer.json."""
    published = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = published["model"]["vocab"]
    added = {token["id"]: token for token in published["added_tokens"]}
    ids = {**{token_id: token for token, token_id in vocabulary.items()}, **{i: t["content"] for i, t in added.items()}}
    kinds = [(3 if added[i]["special"] else 4) if i in added else 1 for i in sorted(ids)]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in published["model"]["merges"]]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [ids[i] for i in sorted(ids)],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": merges,
    }


@pytest.mark.parametrize(("name", "pre"), [("smollm2-135m-instruct", "smollm"), ("qwen2.5", "qwen2")])
def test_byte_level_ids_equal_those_of_the_published_tokenizer(name: str, pre: str, shared_data: Path) -> None:
    folder = shared_data / "tokenizers" / name
    wanted = Tokenizer.from_file(str(folder / "tokenizer.json"))

    rebuilt = build_tokenizer(name, _metadata(folder, pre).get)

    for text in (*_TEXTS, "<|im_start|>user\nhi<|im_end|>\n", "<tool_call>{}</tool_call>"):
        ids = wanted.encode(text, add_special_tokens=False).ids
        assert rebuilt.encode(text, add_special_tokens=False) == ids
        assert rebuilt.decode(ids, skip_special_tokens=True) == wanted.decode(ids)


def test_smollm2_from_gguf_equals_its_published_tokenizer(smollm2_path: Path, shared_data: Path) -> None:
    ours = load_published(str(smollm2_path)).tokenizer
    wanted = HuggingFaceTokenizer.from_folder(shared_data / "tokenizers" / "smollm2-135m-instruct")
    questions = (shared_data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()[:100]

    for text in (*_TEXTS, *questions):
        assert ours.encode(text) == wanted.encode(text)
        messages = [{"role": "user", "content": text}]
        assert ours.encode_chat(messages) == wanted.encode_chat(messages)
    assert (ours.stop_ids, ours.pad_id, ours.vocab_size) == (wanted.stop_ids, wanted.pad_id, wanted.vocab_size)


def test_turns_end_by_metadata_or_else_by_well_known_names() -> None:
    tokens = {"tokenizer.ggml.tokens": ["a", "<end_of_turn>", "b"]}
    assert end_of_turn_ids(tokens.get) == (1,)
    assert end_of_turn_ids({**tokens, "tokenizer.ggml.eot_token_id": 2}.get) == (2,)


@pytest.mark.parametrize("prefixed", [True, False])
def test_sentence_piece_ids_equal_those_of_its_own_library(prefixed: bool) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    # Gemma has symbols, such as runs of spaces, and no prefix; Llama 2 the prefix and no symbols.
    symbols = [] if prefixed else ["<turn>", "\n", "\u2581\u2581", "\u2581\u2581\u2581"]
    trained = io.BytesIO()
    corpus = inspect.getsource(argparse).splitlines()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=trained,
        model_type="bpe",
        vocab_size=700,
        byte_fallback=True,
        add_dummy_prefix=prefixed,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        user_defined_symbols=symbols,
        num_threads=1,
        minloglevel=2,
    )
    wanted = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    pieces = range(wanted.get_piece_size())

    def kind(piece: int) -> int:
        if wanted.is_unknown(piece) or wanted.is_control(piece):
            return 2 if wanted.is_unknown(piece) else 3
        if wanted.is_byte(piece):
            return 6
        return 4 if wanted.id_to_piece(piece) in symbols else 1

    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [wanted.id_to_piece(piece) for piece in pieces],
        "tokenizer.ggml.scores": [wanted.get_score(piece) for piece in pieces],
        "tokenizer.ggml.token_type": [kind(piece) for piece in pieces],
        "tokenizer.ggml.unknown_token_id": wanted.unk_id(),
        "tokenizer.ggml.add_space_prefix": prefixed,
    }

    rebuilt = build_tokenizer("trained", metadata.get)

    for text in (*_TEXTS, "<turn>user\nhello", *corpus[::97]):
        ids = wanted.encode(text)
        assert rebuilt.encode(text, add_special_tokens=False) == ids, text
        assert rebuilt.decode(ids) == text


@pytest.mark.parametrize(("key", "value"), [("tokenizer.ggml.model", "bert"), ("tokenizer.ggml.pre", "unheard-of")])
def test_an_unknown_kind_is_refused_by_name(key: str, value: str) -> None:
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": ["a"],
        "tokenizer.ggml.token_type": [1],
        "tokenizer.ggml.merges": [],
    }
    with pytest.raises(ConfigError, match=rf"file\.gguf: {key}='{value}' is not supported"):
        build_tokenizer("file.gguf", {**metadata, key: value}.get)
