# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run whose programs a thread compiles is the run whose programs it compiles itself."""

from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from grpo_jax import train
from grpo_jax.config import ParallelConfig, RunConfig
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import RunResult
from tests.fakes.compiled_ahead import compilations
from tests.fakes.tiny_run import tiny_run

REPEATABLE = ("reward/", "kl/", "objective/", "length/", "mismatch/", "domain_mix_count/", "eval/")


def start(folder: Path, name: str, ahead: bool) -> tuple[RunResult, list[str]]:
    """The run, and the names of what it compiled."""
    jax.clear_caches()
    config: RunConfig = tiny_run(
        folder, exp_name=name, parallel=ParallelConfig(data=2, fsdp=2, tensor=2, compile_ahead=ahead)
    )
    with compilations() as names:
        return train(config, "never"), names


@pytest.mark.slow
def test_weights_and_figures_are_the_same_to_the_bit_and_nothing_is_compiled_twice(tmp_path):
    (ahead, compiled_ahead), (without, compiled) = start(tmp_path, "ahead", True), start(tmp_path, "without", False)
    rows = [
        [{name: value for name, value in row.items() if name.startswith(REPEATABLE)} for row in read_metrics(file)]
        for file in (ahead.run_folder / "metrics.jsonl", without.run_folder / "metrics.jsonl")
    ]
    assert rows[0] == rows[1]
    assert rows[0]
    first, second = (load_file(run.final_model / "model.safetensors") for run in (ahead, without))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    for program in ("serve", "prefill", "chunk", "score", "update"):
        assert compiled_ahead.count(f"jit({program})") == compiled.count(f"jit({program})")
