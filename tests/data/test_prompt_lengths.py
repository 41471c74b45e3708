# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of prompt lengths by domain."""

import json

from grpo_jax.data.prompt_encoder import PromptEncoder
from grpo_jax.data.prompt_lengths import (
    likely_longest,
    measure_prompt_lengths,
    prompt_length_table,
    prompt_metrics,
    write_prompt_lengths,
)
from grpo_jax.records import Problem
from tests.fakes.byte_tokenizer import ByteTokenizer

AROUND = len(ByteTokenizer().encode_chat([{"role": "user", "content": ""}]))


def problems(name, sizes):
    return [
        Problem(id=f"{name}#{i}", domain=name, messages=({"role": "user", "content": "x" * size},), ground_truth="1")
        for i, size in enumerate(sizes)
    ]


DOMAINS = {"math": problems("math", range(1, 101)), "code": problems("code", [40, 50])}


def encoder(limit, overlong):
    return PromptEncoder(ByteTokenizer(), limit, overlong)


def test_figures_are_of_the_whole_prompts():
    found = measure_prompt_lengths(DOMAINS, encoder(90 + AROUND, "drop"))
    math = found["math"]
    assert (math.problems, math.measured, math.shortest, math.longest) == (100, 100, 1 + AROUND, 100 + AROUND)
    assert math.mean == 50.5 + AROUND
    assert math.percentiles == {50: 50 + AROUND, 90: 90 + AROUND, 95: 95 + AROUND, 99: 99 + AROUND}
    assert (math.dropped, math.truncated) == (10, 0)
    assert (found["code"].dropped, found["code"].longest) == (0, 50 + AROUND)


def test_cut_prompts_count_with_their_whole_length():
    found = measure_prompt_lengths(DOMAINS, encoder(90 + AROUND, "truncate"))["math"]
    assert (found.dropped, found.truncated, found.longest) == (0, 10, 100 + AROUND)


def test_large_domains_are_measured_by_a_fixed_choice():
    once, again = (measure_prompt_lengths(DOMAINS, encoder(200, "drop"), max_measured=30) for _ in range(2))
    assert once == again
    assert (once["math"].measured, once["code"].measured) == (30, 2)
    assert 30 < once["math"].mean - AROUND < 70


def test_table_holds_the_figures_as_json_and_as_text(tmp_path):
    found = measure_prompt_lengths(DOMAINS, encoder(90 + AROUND, "drop"))
    write_prompt_lengths(tmp_path / "prompt_lengths.json", found, 90 + AROUND)
    table = json.loads((tmp_path / "prompt_lengths.json").read_text())
    assert table["max_prompt_tokens"] == 90 + AROUND
    assert table["domains"]["math"]["percentiles"]["95"] == 95 + AROUND
    title, head, math, code = prompt_length_table(found, 90 + AROUND).splitlines()
    assert str(90 + AROUND) in title
    assert len(head) == len(math) == len(code)
    assert dict(zip(head.split(), math.split(), strict=True))["dropped"] == "10"
    assert dict(zip(head.split(), code.split(), strict=True))["max"] == str(50 + AROUND)


def test_metrics_of_a_step_by_domain():
    encode = encoder(45 + AROUND, "truncate")
    drawn = [encode(DOMAINS["math"][9]), encode(DOMAINS["math"][99]), encode(DOMAINS["code"][1])]
    assert prompt_metrics(drawn, {"math": 3, "code": 0, "other": 1}) == {
        "prompt_length/math/mean": (10 + 45) / 2 + AROUND,
        "prompt_length/math/truncated": 1.0,
        "prompt_length/math/dropped": 3.0,
        "prompt_length/code/mean": 45.0 + AROUND,
        "prompt_length/code/truncated": 1.0,
        "prompt_length/code/dropped": 0.0,
        "prompt_length/other/dropped": 1.0,
    }


def test_the_likely_longest_prompt_grows_with_the_number_drawn_up_to_the_limit():
    lengths = measure_prompt_lengths({"plain": problems("plain", range(1, 101))}, encoder(1000, "drop"))
    own = lengths["plain"]
    found = [likely_longest(lengths, count, 1000) for count in (1, 5, 40, 1000)]
    # Of 5 draws the longest is below the quantile 0.87 at even odds, of 40 below 0.983.
    assert found == [own.percentiles[50], own.percentiles[90], own.percentiles[99], own.longest]
    assert likely_longest(lengths, 1000, own.longest - 1) == own.longest - 1
