# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The loader: exact, complete and repeatable batches."""

import json
import logging
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest

from grpo_jax.config import CurriculumConfig, DataConfig, Domain, RunConfig, TrainingConfig
from grpo_jax.curriculum_config import AdaptiveConfig, DifficultyConfig, DifficultyRule, TemperaturePoint
from grpo_jax.data.adaptive import Outcome
from grpo_jax.data.files import write_rows
from grpo_jax.data.loader import ProblemLoader, evaluation_prompts
from grpo_jax.data.prompt_encoder import PromptEncoder
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


def make(sources, domains, seed=0, hosts=(0, 1), max_steps=100, curriculum=None, **settings):
    config = RunConfig(
        seed=seed,
        data=DataConfig(train_sources=sources, **{"prompts_per_step": 7, **settings}),
        domains=domains,
        training=TrainingConfig(max_steps=max_steps),
        curriculum=curriculum or CurriculumConfig(),
    )
    return ProblemLoader(config, ByteTokenizer(), *hosts)


def draw(loader, num_steps):
    return [[prompt.problem.id for prompt in next(loader)] for _ in range(num_steps)]


def test_batches_follow_the_quotas_at_every_step(sources, domains):
    loader = make(sources, domains)
    drawn = Counter()
    for step in range(60):
        counts = Counter(prompt.problem.domain for prompt in next(loader))
        drawn += counts
        for name, weight in WEIGHTS.items():
            share = 7 * Fraction(str(weight))
            assert floor(share) <= counts[name] <= ceil(share)
            assert abs(drawn[name] - share * (step + 1)) < 1


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


def test_lengths_are_found_again_where_the_limit_has_changed(uneven):
    domains = {"a": Domain(), "b": Domain()}
    loader = make(uneven, domains, max_prompt_tokens=40, prompts_per_step=3)
    draw(loader, 12)
    assert loader.num_dropped["a"] == 4
    wider = make(uneven, domains, max_prompt_tokens=400, prompts_per_step=3)
    wider.restore(loader.state())
    assert len({prompt.problem.id for _ in range(12) for prompt in next(wider)}) == 12 + 5
    assert wider.num_dropped == {"a": 0, "b": 0}


def test_overlong_prompt_as_error_is_found_at_the_start(uneven):
    with pytest.raises(ConfigError, match=r"a\.jsonl#0.*data\.max_prompt_tokens=40"):
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
    with pytest.raises(ConfigError, match=r"code\.jsonl:4 .* asks the same as .*held_out\.jsonl:2"):
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


CURRICULUM = CurriculumConfig(
    difficulty=DifficultyConfig(
        temperature_by_bucket={"hard": 1.2},
        temperature_by_progress=(TemperaturePoint(0.5, 1.0), TemperaturePoint(1.0, 0.5)),
    )
)
BY_LENGTH = DifficultyRule(rule="prompt_length")


def test_hosts_share_every_batch_whatever_their_number(sources, domains):
    domains = {**domains, "math": replace(domains["math"], difficulty=BY_LENGTH)}
    whole = make(sources, domains, prompts_per_step=8, curriculum=CURRICULUM)
    hosts = {n: [make(sources, domains, prompts_per_step=8, hosts=(h, n)) for h in range(n)] for n in (2, 4)}
    for _ in range(20):
        expected = [prompt.problem.id for prompt in next(whole)]
        for shared in hosts.values():
            assert [prompt.problem.id for host in shared for prompt in next(host)] == expected


def test_hosts_agree_where_prompts_are_dropped(uneven):
    domains = {"a": Domain(), "b": Domain()}
    settings = {"max_prompt_tokens": 40, "prompts_per_step": 4}
    expected = draw(make(uneven, domains, **settings), 12)
    shared = [make(uneven, domains, **settings, hosts=(host, 2)) for host in range(2)]
    assert [[*one, *other] for one, other in zip(*(draw(host, 12) for host in shared), strict=True)] == expected


def test_hosts_read_their_own_rows_alone_once_lengths_are_known(sources, domains, monkeypatch):
    host = make(sources[:1], {"math": Domain()}, hosts=(1, 2), prompts_per_step=22)
    next(host)
    read = []
    encode = PromptEncoder.__call__
    monkeypatch.setattr(PromptEncoder, "__call__", lambda self, problem: read.append(problem) or encode(self, problem))
    batch = next(host)
    assert [prompt.problem for prompt in batch] == read
    assert len(read) == 11


def test_checkpoint_of_one_host_goes_on_with_two(sources, domains):
    one = make(sources, domains, prompts_per_step=8)
    draw(one, 5)
    state = json.loads(json.dumps(one.state()))
    shared = [make(sources, domains, prompts_per_step=8, hosts=(host, 2)) for host in range(2)]
    for host in shared:
        host.restore(state)
    (expected,) = draw(one, 1)
    assert [prompt.problem.id for host in shared for prompt in next(host)] == expected


def test_batch_that_hosts_cannot_share_is_refused(sources, domains):
    with pytest.raises(ConfigError, match="prompts_per_step=7 is not divisible by the 2 hosts"):
        make(sources, domains, hosts=(0, 2))


def test_temperature_follows_bucket_and_progress(sources):
    domains = {"math": Domain(difficulty=BY_LENGTH, temperature=0.8)}  # "math 10" is the one longest prompt of eleven
    settings = {"prompts_per_step": 11, "max_steps": 2, "curriculum": CURRICULUM}
    buckets = ["easy"] * 10 + ["medium"]
    config = RunConfig(domains=domains)
    loader = make(sources[:1], domains, **settings)
    for factor in (1.0, 1.0, 0.5, 0.5):
        batch = next(loader)
        assert {prompt.bucket for prompt in batch} <= set(buckets)
        assert {config.temperature_of_prompt(prompt) for prompt in batch} == {0.8 * factor}
        assert {prompt.temperature for prompt in batch} == {None if factor == 1 else 0.8 * factor}
    by_bucket = replace(CURRICULUM.difficulty, temperature_by_bucket={"easy": 0.3, "medium": 0.9})
    loader = make(sources[:1], domains, prompts_per_step=11, curriculum=CurriculumConfig(difficulty=by_bucket))
    found = {(prompt.bucket, config.temperature_of_prompt(prompt)) for prompt in next(loader)}
    assert found == {("easy", 0.3), ("medium", 0.9)}


def test_metrics_tell_the_mix_and_the_buckets_of_the_last_batch(sources, domains):
    domains = {**domains, "code": replace(domains["code"], difficulty=BY_LENGTH)}  # five prompts of equal length
    loader = make(sources, domains)
    counts = Counter(prompt.problem.domain for prompt in next(loader))
    found = loader.metrics()
    for name, weight in WEIGHTS.items():
        assert found[f"domain_mix_count/{name}"] == counts[name]
        assert found[f"domain_mix_actual/{name}"] == counts[name] / 7
        assert found[f"domain_mix_target/{name}"] == pytest.approx(weight)
    assert found["curriculum/code/easy"] == 1.0
    assert found["curriculum/code/hard_target"] == pytest.approx(0.05)
    assert found["curriculum/code/replaced"] in (0, 1, 2)
    assert not [name for name in found if name.startswith("curriculum/math")]


def test_weights_are_logged_when_they_change(sources, domains, caplog):
    domains = {**domains, "math": replace(domains["math"], difficulty=BY_LENGTH)}
    loader = make(sources, domains, max_steps=10)
    with caplog.at_level(logging.INFO, "grpo_jax.data.loader"):
        draw(loader, 12)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert [line.split(":")[0] for line in lines] == [f"weights from step {step}" for step in (1, 4, 8)]
    assert "math 0.35" in lines[0]
    assert "math/easy 0.4, math/medium 0.4, math/hard 0.2" in lines[1]


def test_outcomes_change_later_batches_and_are_part_of_the_state(sources, domains):
    adaptive = CurriculumConfig(adaptive=AdaptiveConfig(domain_weights=True))

    def learn(loader, steps):
        drawn = []
        for step in steps:
            batch = next(loader)
            drawn.append([prompt.problem.id for prompt in batch])
            outcomes = [
                Outcome(p.problem.domain, p.bucket, p.index or 0, 2 if p.problem.domain == "logic" else 0, 4)
                for p in batch
            ]
            loader.record(step, outcomes)
        return drawn

    loader = make(sources, domains, curriculum=adaptive)
    learn(loader, range(10))
    assert loader.metrics()["domain_mix_target/logic"] > 0.5
    assert loader.metrics()["curriculum/logic/solve_rate"] == 0.5
    resumed = make(sources, domains, curriculum=adaptive)
    resumed.restore(json.loads(json.dumps(loader.state())))
    assert learn(resumed, range(10, 20)) == learn(loader, range(10, 20))


def test_replacements_are_further_problems_of_the_same_domain(sources, domains):
    loader = make(sources, domains)
    batch = next(loader)
    others = loader.replacements(batch[:3])
    assert [prompt.problem.domain for prompt in others] == [prompt.problem.domain for prompt in batch[:3]]
    assert not {prompt.problem.id for prompt in others} & {prompt.problem.id for prompt in batch}
    resumed = make(sources, domains)
    resumed.restore(json.loads(json.dumps(loader.state())))
    assert draw(resumed, 3) == draw(loader, 3)


def test_length_of_the_run_follows_from_steps_or_passes(sources, domains):
    assert make(sources, domains, max_steps=17).num_steps == 17
    config = RunConfig(
        data=DataConfig(train_sources=sources, prompts_per_step=7),
        domains=domains,
        training=TrainingConfig(max_steps=None, num_train_epochs=2.0),
    )
    assert ProblemLoader(config, ByteTokenizer()).num_steps == 2 * 5  # 29 problems, 7 a step


def test_templates_and_limits_differ_by_domain(sources, tmp_path):
    own = {"role": "system", "content": "Mine."}
    row = {"prompt": [own, {"role": "user", "content": "Q"}], "reward_model": {"ground_truth": "1"}, "data_source": "x"}
    write_rows(tmp_path / "dialogue.jsonl", [row])
    domains = {
        "math": Domain(system_prompt="Be brief.", prompt_template="{prompt} =", temperature=0.5),
        "code": Domain(max_completion_tokens=99),
        "talk": Domain(system_prompt="Never seen.", prompt_template="never {prompt}"),
    }
    loader = make((*sources[:2], f"talk::{tmp_path}/dialogue.jsonl"), domains, mixing="balanced", prompts_per_step=3)
    found = {prompt.problem.domain: prompt.problem.messages for prompt in next(loader)}
    assert found["math"][0] == {"role": "system", "content": "Be brief."}
    assert found["math"][1]["content"].endswith(" =")
    assert len(found["code"]) == 1
    assert found["talk"] == (own, {"role": "user", "content": "Q"})
    config = RunConfig(domains=domains)
    assert [config.temperature_of(name) for name in domains] == [0.5, 1.0, 1.0]
    assert [config.max_completion_tokens_of(name) for name in domains] == [512, 99, 512]
