# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Every variant that the benchmark times computes the same attention."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import decode_attention
from benchmarks.decode_attention import TINY, bucket, measure, own_lengths, parse_arguments
from grpo_jax.sampling.ragged_attention import DecodeAttention, ragged_kernel


@pytest.mark.parametrize("path", ["gpu", "tpu"])
def test_all_variants_agree(path, monkeypatch):
    kernel = ragged_kernel(DecodeAttention(path, interpret=True))
    monkeypatch.setattr(decode_attention, "_kernel", lambda: kernel)
    parts = measure(dataclasses.replace(TINY, lanes=(8,)), repeats=1)["8 lanes"]
    own = {name: parts["own"][name] for name in ("kernel", "xla_bucketed", "xla_maximum")}
    for name, figures in (own | parts["prompt"]).items():
        assert figures["largest_difference"] < 1e-5, name
        assert figures["milliseconds_a_layer"] > 0
        assert figures["of_copy"] > 0
    assert all(figures["milliseconds"] > 0 for figures in parts["draw"].values())


def test_without_an_accelerator_the_reason_stands_where_figures_would(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["decode_attention", "--repeats", "1", "--lanes", "4"])
    decode_attention.main()
    own = json.loads(capsys.readouterr().out)["4 lanes"]["own"]
    assert own["kernel"] == {"cannot_run": "NotImplementedError: platform cpu has no kernel"}
    assert "cannot_run" in own["cudnn"]
    assert own["xla_bucketed"]["milliseconds_a_layer"] > 0


def test_lengths_are_spread_and_have_the_mean_asked_for():
    lengths = own_lengths(decode_attention.Sizes(), 4096)
    assert abs(lengths.mean() - 320) < 20
    assert lengths.max() == 1024
    assert np.median(lengths) < 290


@pytest.mark.parametrize(("length", "columns"), [(1, 64), (64, 64), (65, 128), (1000, 1024)])
def test_buckets_are_powers_of_two(length, columns):
    assert bucket(length) == columns


def test_lanes_that_are_no_multiple_of_the_group_are_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--lanes", "6"])
    assert ended.value.code == 2
    assert "multiples of the group size 4" in capsys.readouterr().err
