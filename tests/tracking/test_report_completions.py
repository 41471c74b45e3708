# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Completions of a report: as many as fit, whole steps, long texts without their middle."""

import json
import zlib

import pytest

from benchmarks.synthetic_run import write_synthetic_run
from grpo_jax.tracking.report_completions import packed_completions, select_completions, shortened
from grpo_jax.tracking.run_folder import RunFolder


@pytest.fixture
def folders(tmp_path):
    write_synthetic_run(tmp_path, "run", steps=60, completions=600, words=40)
    return {"run": RunFolder(tmp_path, "run")}


def test_all_are_shown_where_they_fit(folders):
    rows, left_out = select_completions(folders, 600)
    assert (len(rows), left_out) == (600, 0)


def test_thinning_keeps_whole_steps_with_the_first_and_the_last(folders):
    everything, _ = select_completions(folders, 600)
    rows, left_out = select_completions(folders, 200)
    assert len(rows) <= 200
    assert len(rows) + left_out == 600
    steps = {row["step"] for row in rows}
    assert {everything[0]["step"], everything[-1]["step"]} <= steps
    for step in steps:
        assert [row for row in rows if row["step"] == step] == [row for row in everything if row["step"] == step]


def test_packing_gives_back_every_value(folders):
    rows, _ = select_completions(folders, 600)
    packed, limit = packed_completions(rows, 10**8)
    data = json.loads(zlib.decompress(packed))
    assert limit > max(len(row["text"]) for row in rows)
    for number, row in enumerate(rows):
        for name in ("run", "domain", "status", "finish_reason", "problem_id", "prompt", "reason", "ground_truth"):
            assert data["tables"][name][data[name][number]] == row[name]
        names = data["tables"]["names"][data["names"][number]]
        assert dict(zip(names, data["parts"][number], strict=True)) == pytest.approx(row["parts"], abs=1e-5)
        assert (data["text"][number], data["step"][number]) == (row["text"], row["step"])
        assert (data["total"][number], data["tokens"][number]) == (row["total"], row["completion_tokens"])
        assert data["advantage"][number] == pytest.approx(row["advantage"], abs=1e-5)


@pytest.mark.parametrize("budget", [80_000, 60_000])
def test_texts_are_shortened_until_the_page_is_small_enough(folders, budget):
    rows, _ = select_completions(folders, 600)
    packed, limit = packed_completions(rows, budget)
    assert len(packed) <= budget
    texts = json.loads(zlib.decompress(packed))["text"]
    assert any("characters left out" in text for text in texts)
    assert all(len(text) <= limit + 50 for text in texts)


def test_shortening_keeps_both_ends_and_says_how_much_is_gone():
    text = "a" * 100 + "b" * 1000 + "c" * 100
    short = shortened(text, 150)
    assert short == f"{'a' * 100}\n[… 1,050 characters left out …]\n{'c' * 50}"
    assert shortened(text, 1200) == text
