# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The limit on the length of prompts."""

import pytest

from grpo_jax.data.prompt_encoder import GAP, PromptEncoder
from grpo_jax.records import ConfigError, Problem
from tests.fakes.byte_tokenizer import ByteTokenizer


def problem(text, *before):
    messages = (*before, {"role": "user", "content": text})
    return Problem(id="rows.jsonl#3", domain="math", messages=messages, ground_truth="1")


def encode(given, limit, overlong):
    return PromptEncoder(ByteTokenizer(), limit, overlong)(given)


@pytest.mark.parametrize("overlong", ["drop", "truncate", "error"])
def test_prompt_within_the_limit_is_whole(overlong):
    given = problem("How many?")
    limit = len(ByteTokenizer().encode_chat(given.messages))
    prompt = encode(given, limit, overlong)
    assert prompt is not None
    assert prompt.problem is given
    assert not prompt.truncated
    assert prompt.token_ids.tolist() == ByteTokenizer().encode_chat(given.messages)


def test_overlong_prompt_is_dropped_or_an_error():
    given = problem("x" * 100)
    assert encode(given, 60, "drop") is None
    with pytest.raises(ConfigError, match=r"rows\.jsonl#3 has a prompt of 117 tokens.*max_prompt_tokens=60"):
        encode(given, 60, "error")


@pytest.mark.parametrize("limit", range(40, 120, 7))
def test_truncation_keeps_both_ends_and_as_much_as_fits(limit):
    text = "".join(chr(ord("a") + i % 26) for i in range(200))
    system = {"role": "system", "content": "Be brief."}
    prompt = encode(problem(text, system), limit, "truncate")
    assert prompt is not None
    assert prompt.truncated
    assert len(prompt.token_ids) == limit  # bytes: every length can be reached
    assert prompt.problem.messages[0] == system
    head, tail = prompt.problem.messages[1]["content"].split(GAP)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert 0 <= len(head) - len(tail) <= 1
    assert prompt.token_ids.tolist() == ByteTokenizer().encode_chat(prompt.problem.messages)


def test_truncation_never_splits_a_character():
    prompt = encode(problem("é" * 100), 60, "truncate")
    assert prompt is not None
    assert 58 <= len(prompt.token_ids) <= 60
    assert set(prompt.problem.messages[0]["content"]) == {"é", *GAP}


def test_prompt_that_is_too_long_without_the_users_text_is_dropped():
    assert encode(problem("x" * 50, {"role": "system", "content": "y" * 90}), 60, "truncate") is None
