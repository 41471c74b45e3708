# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The loader: exact, complete and repeatable batches."""

import json
from collections import Counter

import numpy as np
import pytest

from grpo_jax.config import DataConfig, Domain
from grpo_jax.data.files import write_rows
from grpo_jax.data.loader import ProblemLoader, evaluation_prompts
from grpo_jax.data.mixing import domain_counts
from grpo_jax.records import ConfigError
from tests.fakes.byte_tokenizer import ByteTokenizer

WEIGHTS = {"math": 0.35, "code": 0.30, "science": 0.20, "logic": 0.15}
SIZES = {"math": 11, "code": 5, "science": 7, "logic": 6}


def write(path, texts):
    write_rows(
        path,
        [
            {
                "prompt": [{"role": "user", "content": text}],
                "reward_model": {"ground_truth": str(i)},
                "data_source": "x",
            }
            for i, text in enumerate(texts)
        ],
    )


@pytest.fixture
def sources(tmp_path):
    for name, size in SIZES.items():
        write(tmp_path / f"{name}.jsonl", [f"{name} {i}" for i in range(size)])
    return tuple(f"{name}::{tmp_path}/{name}.jsonl" for name in SIZES)


@pytest.fixture
def domains():
    return {name: Domain(weight=weight) for name, weight in WEIGHTS.items()}


def make(sources, domains, seed=0, **settings):
    settings = DataConfig(train_sources=sources, **{"prompts_per_step": 7, **settings})
    return ProblemLoader(settings, domains, ByteTokenizer(), seed)


def draw(loader, num_steps):
    return [[prompt.problem.id for prompt in next(loader)] for _ in range(num_steps)]


def test_batches_follow_the_quotas_at_every_step(sources, domains):
    loader = make(sources, domains)
    for step in range(60):
        counts = Counter(prompt.problem.domain for prompt in next(loader))
        assert counts == domain_counts(WEIGHTS, 7, step)


def test_balanced_ignores_weights(sources, domains):
    loader = make(sources, domains, mixing="balanced", prompts_per_step=8)
    assert Counter(prompt.problem.domain for prompt in next(loader)) == dict.fromkeys(WEIGHTS, 2)


def test_every_problem_is_seen_once_before_any_twice(sources, domains):
    loader = make(sources, domains)
    seen = {name: Counter() for name in WEIGHTS}
    for _ in range(60):
        for prompt in next(loader):
            seen[prompt.problem.domain][prompt.problem.id] += 1
        for name, counts in seen.items():
            least = min(counts.values()) if len(counts) == SIZES[name] else 0
            assert max(counts.values(), default=0) <= least + 1


def test_passes_differ_in_order(sources):
    loader = make(sources[:1], {"math": Domain()}, prompts_per_step=11)
    passes = draw(loader, 3)
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(passes[2])
    assert passes[0] != passes[1] != passes[2]


def test_restart_at_any_step_gives_the_same_sequence(sources, domains):
    expected = draw(make(sources, domains), 25)
    loader = make(sources, domains)
    for step in range(24):
        state = json.loads(json.dumps(loader.state()))
        resumed = make(sources, domains)
        resumed.restore(state)
        assert draw(resumed, 25 - step) == expected[step:]
        next(loader)


def test_seeds_give_different_sequences(sources, domains):
    assert draw(make(sources, domains, seed=0), 5) == draw(make(sources, domains, seed=0), 5)
    assert draw(make(sources, domains, seed=0), 5) != draw(make(sources, domains, seed=1), 5)


def test_order_within_a_batch_is_shuffled(sources, domains):
    loader = make(sources, domains, mixing="balanced", prompts_per_step=8)
    orders = {tuple(prompt.problem.domain for prompt in next(loader)) for _ in range(10)}
    assert len(orders) > 5


def test_sources_of_a_domain_are_mixed(sources, tmp_path):
    write(tmp_path / "more.jsonl", [f"more {i}" for i in range(4)])
    both = (sources[0], f"math::{tmp_path}/more.jsonl")
    loader = make(both, {"math": Domain()}, prompts_per_step=15)
    (ids,) = draw(loader, 1)
    assert len(set(ids)) == 15
    assert loader.num_problems == {"math": 15}


def test_prompts_carry_templates_and_int32_ids(sources):
    domains = {"math": Domain(system_prompt="Be brief.", prompt_template="Q: {prompt}")}
    (prompt,) = next(make(sources[:1], domains, prompts_per_step=1))
    system, user = prompt.problem.messages
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"].startswith("Q: math ")
    assert prompt.token_ids.dtype == np.int32
    assert prompt.token_ids.tolist() == ByteTokenizer().encode_chat(prompt.problem.messages)


@pytest.fixture
def uneven(tmp_path):
    write(tmp_path / "a.jsonl", ["x" * (60 if i % 3 == 0 else 10) + str(i) for i in range(12)])
    write(tmp_path / "b.jsonl", [f"b {i}" for i in range(5)])
    return (f"a::{tmp_path}/a.jsonl", f"b::{tmp_path}/b.jsonl")


def test_overlong_prompts_are_replaced_and_counted(uneven):
    loader = make(uneven, {"a": Domain(), "b": Domain()}, max_prompt_tokens=40, prompts_per_step=4)
    for _ in range(12):
        batch = next(loader)
        assert Counter(prompt.problem.domain for prompt in batch) == {"a": 2, "b": 2}
        assert all(len(prompt.token_ids) <= 40 for prompt in batch)
    assert loader.num_dropped == {"a": 4, "b": 0}
    assert loader.num_problems == {"a": 12, "b": 5}
    assert loader.steps_per_epoch == 5


def test_passes_over_kept_problems_are_complete(uneven):
    loader = make(uneven[:1], {"a": Domain()}, max_prompt_tokens=40, prompts_per_step=8)
    passes = draw(loader, 3)
    assert len(set(passes[0])) == 8
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(passes[2])


def test_restart_with_dropped_prompts_gives_the_same_sequence(uneven):
    domains = {"a": Domain(), "b": Domain()}
    loader = make(uneven, domains, max_prompt_tokens=40, prompts_per_step=3)
    expected = draw(loader, 12)
    loader = make(uneven, domains, max_prompt_tokens=40, prompts_per_step=3)
    for step in range(12):
        resumed = make(uneven, domains, max_prompt_tokens=40, prompts_per_step=3)
        resumed.restore(json.loads(json.dumps(loader.state())))
        assert resumed.num_dropped == loader.num_dropped
        assert draw(resumed, 12 - step) == expected[step:]
        next(loader)


def test_late_step_without_history_gives_the_same_batch(uneven):
    """A state whose limit differs from the run's brings no lengths; they are found again."""
    domains = {"a": Domain(), "b": Domain()}
    loader = make(uneven, domains, max_prompt_tokens=40, prompts_per_step=3)
    expected = draw(loader, 12)
    for step in range(12):
        resumed = make(uneven, domains, max_prompt_tokens=40, prompts_per_step=3)
        resumed.restore({**loader.state(), "max_prompt_tokens": 39, "iterator": {"next_index": step}})
        assert draw(resumed, 1) == expected[step : step + 1]


def test_overlong_prompt_as_error_is_found_at_the_start(uneven):
    with pytest.raises(ConfigError, match=r"a\.jsonl#0 .*data\.max_prompt_tokens=40"):
        make(uneven, {"a": Domain(), "b": Domain()}, max_prompt_tokens=40, overlong_prompts="error")


def test_domain_with_overlong_prompts_only_is_an_error(uneven):
    loader = make(uneven[:1], {"a": Domain()}, max_prompt_tokens=5)
    with pytest.raises(ConfigError, match="domain a: all 12 prompts") as caught:
        next(loader)
    assert "\n" not in str(caught.value)


def test_domains_and_sources_must_match(sources, domains):
    with pytest.raises(ConfigError, match=r"logic\.jsonl' has domain 'logic', which domains lacks"):
        make(sources, {name: domains[name] for name in ("math", "code", "science")})
    with pytest.raises(ConfigError, match=r"domain logic has no rows in data\.train_sources"):
        make(sources[:3], domains)
    with pytest.raises(ConfigError, match="train_sources is empty"):
        make((), domains)


def test_changed_sources_or_seed_are_refused_on_restore(sources, domains):
    state = make(sources, domains).state()
    with pytest.raises(ConfigError, match="seed=0, this run has 1"):
        make(sources, domains, seed=1).restore(state)
    with pytest.raises(ConfigError, match="num_problems"):
        make(sources, domains, max_train_samples=5).restore(state)


def test_problem_in_train_and_eval_sources_is_refused(sources, domains, tmp_path):
    write(tmp_path / "held_out.jsonl", ["new", " code 3\n"])
    with pytest.raises(ConfigError, match=r"code\.jsonl#3 .* asks the same as .*held_out\.jsonl#1"):
        make(sources, domains, eval_sources=(f"code::{tmp_path}/held_out.jsonl",))


def test_evaluation_prompts_by_domain(sources, domains):
    settings = DataConfig(eval_sources=sources[:2])
    everything = evaluation_prompts(settings, domains, ByteTokenizer(), None)
    assert {name: len(prompts) for name, prompts in everything.items()} == {"math": 11, "code": 5}
    assert [prompt.problem.ground_truth for prompt in everything["math"]] == [str(i) for i in range(11)]
    some = evaluation_prompts(settings, domains, ByteTokenizer(), 6)
    assert {name: len(prompts) for name, prompts in some.items()} == {"math": 6, "code": 5}
    assert evaluation_prompts(DataConfig(), domains, ByteTokenizer(), 6) == {}


def test_evaluation_replaces_overlong_prompts(uneven):
    settings = DataConfig(eval_sources=uneven[:1], max_prompt_tokens=40)
    (prompts,) = evaluation_prompts(settings, {"a": Domain()}, ByteTokenizer(), 8).values()
    assert len(prompts) == 8
    with pytest.raises(ConfigError, match=r"no prompt of data\.eval_sources"):
        evaluation_prompts(
            DataConfig(eval_sources=uneven[:1], max_prompt_tokens=5), {"a": Domain()}, ByteTokenizer(), 8
        )
