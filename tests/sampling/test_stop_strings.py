# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import random
from collections.abc import Callable, Sequence

import pytest
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE

from grpo_jax.sampling.stop_strings import UNFINISHED, StopSearch, cut_at_stop
from tests.fakes.byte_tokenizer import PAD_ID, STOP_ID, ByteTokenizer

Decode = Callable[[Sequence[int]], str]


def brute_force(decode: Decode, token_ids: Sequence[int], strings: Sequence[str]) -> int | None:
    """Smallest number of ids whose text, decoded from the start, holds a string."""
    for count in range(1, len(token_ids) + 1):
        text = decode(token_ids[:count]).rstrip(UNFINISHED)
        if any(string in text for string in strings):
            return count
    return None


def search(decode: Decode, token_ids: Sequence[int], strings: Sequence[str], chunks: Sequence[int]) -> int | None:
    """Feed the ids in chunks of the given lengths, again and again."""
    watch, start, number = StopSearch(decode, strings), 0, 0
    while start < len(token_ids):
        end = start + chunks[number % len(chunks)]
        found = watch.feed(token_ids[start:end])
        if found is not None:
            return found
        start, number = end, number + 1
    return None


def byte_pieces(rng: random.Random, num: int) -> list[bytes]:
    """Tokens of one to five bytes cut out of text with characters of one to four bytes, and a few of no text at all."""
    text = "".join(rng.choice("ab \nEND€é🙂") for _ in range(4 * num)).encode()
    pieces = [text[i : i + rng.randint(1, 5)] for i in rng.sample(range(len(text)), num)]
    return [*pieces, b"", b"\xff", b"\x82"]


def decoder_of(pieces: Sequence[bytes]) -> Decode:
    return lambda ids: b"".join(pieces[i] for i in ids).decode(errors="replace")


@pytest.mark.parametrize("seed", range(6))
def test_search_by_chunks_finds_what_decoding_every_prefix_finds(seed):
    rng = random.Random(seed)
    num_found = 0
    for _ in range(300):
        pieces = byte_pieces(rng, 40)
        decode = decoder_of(pieces)
        ids = [rng.randrange(len(pieces)) for _ in range(rng.randint(1, 120))]
        strings = [
            "".join(rng.choice("ab \nEND€é🙂") for _ in range(rng.randint(1, 7))) for _ in range(rng.randint(1, 3))
        ]
        wanted = brute_force(decode, ids, strings)
        assert search(decode, ids, strings, [rng.randint(1, 40) for _ in range(3)]) == wanted, (ids, strings)
        num_found += wanted is not None
    assert 50 < num_found < 250


def test_text_of_valid_characters_in_single_bytes():
    decode = ByteTokenizer().decode
    rng = random.Random(1)
    for _ in range(200):
        ids = list("".join(rng.choice("a€🙂x") for _ in range(30)).encode())
        strings = ["".join(rng.choice("a€🙂x") for _ in range(3))]
        assert search(decode, ids, strings, [rng.randint(1, 9)]) == brute_force(decode, ids, strings)


def test_match_across_chunks_and_inside_tokens_keeps_the_token_that_completes_it():
    pieces = [b"answer: 4", b"2\nOb", b"serv", b"ation: 3", b"x"]
    decode = decoder_of(pieces)
    for chunk in (1, 2, 3, 5):
        assert search(decode, [4, 0, 1, 2, 3, 4], ["\nObservation:"], [chunk]) == 5
    assert cut_at_stop(decode([4, 0, 1, 2, 3]), ["\nObservation:"]) == "xanswer: 42"


def test_special_tokens_between_the_parts_of_a_string_are_no_text():
    decode = ByteTokenizer().decode
    ids = [*b"E", PAD_ID, *b"N", STOP_ID, *b"D", *b"x"]
    assert search(decode, ids, ["END"], [2]) == 5


def test_decoder_that_drops_the_first_space_sees_the_spaces_between_words():
    vocabulary = {"▁stop": 0, "▁here": 1, "stop": 2, "▁": 3, "<unk>": 4}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")

    def decode(token_ids: Sequence[int]) -> str:
        return tokenizer.decode(list(token_ids))

    assert decode([0]) == "stop"
    rng = random.Random(2)
    for _ in range(200):
        ids = [rng.randrange(4) for _ in range(20)]
        for strings in ([" stop here"], ["here stop"], ["stop stop", "  "]):
            assert search(decode, ids, strings, [rng.randint(1, 4)]) == brute_force(decode, ids, strings)


@pytest.mark.parametrize("strings", [["END"], ["D", "END"], ["D", "ND", "EN"]])
def test_of_several_strings_the_text_ends_before_the_first_to_begin(strings):
    decode = ByteTokenizer().decode
    ids = list(b"a END b END")
    kept = search(decode, ids, strings, [4])
    assert kept == brute_force(decode, ids, strings)
    begins = {("END",): "a ", ("D", "END"): "a ", ("D", "ND", "EN"): "a "}
    assert cut_at_stop(decode(ids[:kept]), strings) == begins[tuple(strings)]


def test_text_without_a_string_is_left_whole():
    assert cut_at_stop("some text", ["END"]) == "some text"
    assert search(ByteTokenizer().decode, list(b"some text"), ["END"], [3]) is None


def test_a_chunk_costs_no_more_late_in_a_completion_than_early():
    lengths: list[int] = []

    def decode(token_ids: Sequence[int]) -> str:
        lengths.append(len(token_ids))
        return "a" * len(token_ids)

    watch = StopSearch(decode, ["END"])
    for _ in range(100):
        assert watch.feed([0] * 32) is None
    assert max(lengths) <= 64
    assert len(lengths) <= 200
