# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What of the benchmarks of sampling needs no clock: programs counted, sides checked, ratios computed."""

from typing import Any

import numpy as np
import pytest

from benchmarks import engine_programs, sampling_engine
from benchmarks.sampling_comparison import GREEDY_TOKENS, check, describe, rate
from tests.fakes.plain_loop import Sampled


def side(seconds: float, tokens: int, greedy: int = 1, niceness: int = 0) -> dict[str, Any]:
    runs = [{"seconds": seconds, "tokens": tokens, "longest": tokens}] * 2
    return {"greedy": [[greedy]], "runs": runs, "settings": {"niceness": niceness}}


def test_four_unlike_domains_compile_few_decode_programs_and_none_again() -> None:
    arguments = engine_programs.parse_arguments(["--steps", "2", "--prompts", "4", "--group-size", "4"])
    found = engine_programs.run(arguments)
    assert 0 < found["decode_programs"] <= engine_programs.MOST_DECODE_PROGRAMS
    assert found["decode_programs"] == found["decode_programs_after_each_step"][-1], "the second pass compiles nothing"
    assert found["chunks"] > 0
    assert 0 <= found["host_gap_fraction"] < 1


def test_the_domains_of_the_programs_benchmark_differ_in_all_that_sampling_cares_about() -> None:
    config = engine_programs.four_domains(272, 4, 16, 1)
    settings = [config.sampling_of(name) for name in config.domains]
    assert len({own.max_completion_tokens for own in settings}) == 4
    assert len({own.temperature for own in settings}) == 3
    assert len({(own.top_p, own.top_k, own.min_p) for own in settings}) == 3
    drawn = engine_programs.draw_requests(config, 272, 64, 0)
    assert len({request.max_tokens for request in drawn}) > 1
    assert len({len(request.token_ids) for request in drawn}) > 20


def test_sides_with_other_tokens_or_another_priority_are_refused() -> None:
    check({"grpo_jax": [side(1, 10)], "tunix": [side(9, 12)]})
    with pytest.raises(RuntimeError, match="greedy tokens of tunix and grpo_jax"):
        check({"grpo_jax": [side(1, 10)], "tunix": [side(9, 12, greedy=2)]})
    with pytest.raises(RuntimeError, match="niceness"):
        check({"grpo_jax": [side(1, 10)], "tunix": [side(9, 12, niceness=5)]})


def test_rates_are_tokens_over_all_measured_seconds() -> None:
    assert rate(side(2.0, 30)) == 15.0
    line = describe({"times_faster": {"median": 4.25, "lowest": 4.0, "highest": 5.0}}, "tunix")
    assert line == "grpo_jax / tunix, tokens/s: 4.25 x (4.00 to 5.00)"


def test_the_other_interpreters_file_knows_how_many_greedy_tokens_are_compared() -> None:
    source = (sampling_engine.Path(__file__).parents[1] / "benchmarks" / "tunix_side.py").read_text(encoding="utf-8")
    assert f"\nGREEDY_TOKENS = {GREEDY_TOKENS}\n" in source


def test_sides_of_the_engine_benchmark_must_sample_the_same() -> None:
    plain = Sampled(np.array([[5, 6, 0], [7, 8, 9]]), np.zeros((2, 3)), np.array([2, 3]))
    assert sampling_engine.check_same(plain, [np.array([5, 6]), np.array([7, 8, 9])]) == [2, 3]
    with pytest.raises(RuntimeError, match="sample 1"):
        sampling_engine.check_same(plain, [np.array([5, 6]), np.array([7, 8])])
