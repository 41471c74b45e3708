# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Data settings as a run's loader follows them."""

import pytest

from grpo_jax.config import DataConfig, Domain, RunConfig, TrainingConfig
from grpo_jax.data.files import write_rows
from grpo_jax.data.loader import ProblemLoader, evaluation_prompts
from grpo_jax.data.prompt_encoder import GAP
from grpo_jax.records import ConfigError
from tests.fakes.byte_tokenizer import ByteTokenizer


def rows(texts):
    return [
        {
            "prompt": [{"role": "user", "content": text}],
            "data_source": "x",
            "reward_model": {"ground_truth": None if text == "bad" else "1"},
        }
        for text in texts
    ]


@pytest.fixture
def make(tmp_path):
    def load(files, **settings):
        for name, texts in files.items():
            write_rows(tmp_path / f"{name}.jsonl", rows(texts))
        sources = tuple(f"{name}::{tmp_path}/{name}.jsonl" for name in files)
        config = RunConfig(
            data=DataConfig(train_sources=sources, **{"prompts_per_step": 4, **settings}),
            domains={name: Domain() for name in files},
            training=TrainingConfig(max_steps=10),
        )
        return ProblemLoader(config, ByteTokenizer())

    return load


def test_bad_rows_stop_the_start_or_leave_the_rest(make, tmp_path):
    files = {"a": ["one", "bad", "two", "three"], "b": ["four", "five"]}
    with pytest.raises(ConfigError, match=r"a\.jsonl:2: field reward_model\.ground_truth is missing"):
        make(files)
    loader = make(files, skip_bad_rows=True)
    assert loader.num_problems == {"a": 3, "b": 2}
    asked = {prompt.problem.messages[0]["content"] for _ in range(5) for prompt in next(loader)}
    assert asked == {"one", "two", "three", "four", "five"}
    settings = DataConfig(eval_sources=(f"a::{tmp_path}/a.jsonl",), skip_bad_rows=True)
    assert len(evaluation_prompts(settings, {"a": Domain()}, ByteTokenizer(), None)["a"]) == 3


def test_rows_are_limited_by_source_and_in_total(make):
    files = {"a": [f"a {i}" for i in range(30)], "b": [f"b {i}" for i in range(10)]}
    assert make(files, max_train_samples=15).num_problems == {"a": 15, "b": 10}
    assert make(files, max_total_train_samples=20).num_problems == {"a": 15, "b": 5}
    assert make(files, max_train_samples=10, max_total_train_samples=6).num_problems == {"a": 3, "b": 3}
    for name in ("max_train_samples", "max_total_train_samples"):
        with pytest.raises(ConfigError, match=f"data.{name}=0 must be above 0"):
            make(files, **{name: 0})


def test_overlong_prompts_are_cut_where_asked_for(make):
    files = {"a": ["x" * 100, *(f"short {i}" for i in range(7))]}
    loader = make(files, max_prompt_tokens=60, overlong_prompts="truncate")
    drawn = [prompt for _ in range(2) for prompt in next(loader)]
    assert len({prompt.problem.id for prompt in drawn}) == 8
    (cut,) = [prompt for prompt in drawn if prompt.truncated]
    assert GAP in cut.problem.messages[0]["content"]
    assert len(cut.token_ids) == 60
    assert loader.num_dropped == {"a": 0}
    assert loader.prompt_lengths()["a"].truncated == 1


def test_change_of_policy_is_taken_up_on_resume(make):
    files = {"a": ["x" * 100, *(f"short {i}" for i in range(3))]}
    dropping = make(files, max_prompt_tokens=60, prompts_per_step=3)
    next(dropping)
    state = dropping.state()
    cutting = make(files, max_prompt_tokens=60, prompts_per_step=4, overlong_prompts="truncate")
    cutting.restore(state)
    assert cutting.num_dropped == {"a": 0}
