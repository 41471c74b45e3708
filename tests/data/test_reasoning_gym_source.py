# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Generated tasks: repeatable entries that the library's verifiers judge alike after a trip through JSON."""

import json
import random
from dataclasses import dataclass

import pytest

from grpo_jax.data.source_spec import parse_source
from grpo_jax.data.sources import ProblemSource, open_sources
from grpo_jax.records import ConfigError

reasoning_gym = pytest.importorskip("reasoning_gym")

TASKS = (
    "chain_sum",
    "basic_arithmetic",
    "syllogism",
    "propositional_logic",
    "knights_knaves",
    "simple_equations",
    "countdown",
)


def source(text, default_split="train"):
    return ProblemSource(parse_source(text), default_split)


@pytest.mark.parametrize("task", TASKS)
def test_verifier_judges_the_json_entry_as_the_original(task):
    problems = source(f"logic::reasoning_gym/{task}?size=4&seed=5")
    for index in range(4):
        problem = problems[index]
        travelled = json.loads(json.dumps(problem.extra))["reasoning_gym"]
        assert travelled == problem.extra["reasoning_gym"]
        dataset = reasoning_gym.create_dataset(travelled["task"], **travelled["parameters"])
        entry = travelled["entry"]
        # propositional_logic has many right answers and gives one of them as an example.
        right = entry["answer"] if entry["answer"] is not None else entry["metadata"]["example_answer"]
        assert dataset.score_answer(right, entry) == 1.0
        assert dataset.score_answer("certainly not this", entry) < 0.5
        assert problem.messages == ({"role": "user", "content": entry["question"]},)


def test_ids_name_task_parameters_split_and_entry():
    assert source("m::reasoning_gym/chain_sum")[17].id == "reasoning_gym/chain_sum@train#17"
    assert source("m::reasoning_gym/chain_sum", "test")[2].id == "reasoning_gym/chain_sum@test#2"
    with_parameters = source("m::reasoning_gym/chain_sum?size=9&max_terms=3&seed=1@test")
    assert with_parameters[0].id == "reasoning_gym/chain_sum?max_terms=3&seed=1@test#0"
    assert with_parameters[0].extra["reasoning_gym"]["parameters"] == {"max_terms": 3}
    assert len(with_parameters) == 9
    assert len(source("m::reasoning_gym/chain_sum")) == 10_000


@pytest.mark.parametrize("task", ["chain_sum", "list_functions"])
def test_entry_does_not_depend_on_what_was_drawn_before(task):
    forward = source(f"m::reasoning_gym/{task}?size=6")
    expected = [forward[index] for index in range(6)]
    random.seed(99)
    again = source(f"m::reasoning_gym/{task}?size=6")
    assert [again[index] for index in reversed(range(6))] == expected[::-1]


def test_generation_leaves_the_global_generator_alone():
    problems = source("m::reasoning_gym/list_functions?size=3")
    random.seed(1)
    expected = random.random()
    random.seed(1)
    _ = problems[0]
    assert random.random() == expected


def test_splits_and_seeds_share_no_entry():
    def questions(text):
        problems = source(text)
        return {problems[index].messages[0]["content"] for index in range(len(problems))}

    size = "min_digits=6&max_digits=9&size=200"
    train, test = (
        questions(f"m::reasoning_gym/chain_sum?{size}@train"),
        questions(f"m::reasoning_gym/chain_sum?{size}@test"),
    )
    other = questions(f"m::reasoning_gym/chain_sum?{size}&seed=1@train")
    assert len(train | test | other) == 600


def test_domain_left_out_is_the_data_source():
    problems = source("reasoning_gym/chain_sum?size=3")
    assert list(problems.rows_by_domain()) == ["reasoning_gym/chain_sum"]
    assert problems[0].domain == "reasoning_gym/chain_sum"


def test_row_is_of_the_problem_schema():
    problem = source("m::reasoning_gym/chain_sum?size=3")[1]
    assert problem.ground_truth == problem.extra["reasoning_gym"]["entry"]["answer"]
    assert problem.data_source == "reasoning_gym/chain_sum"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m::reasoning_gym/chain_sums", "did you mean chain_sum"),
        ("m::reasoning_gym/chain_sum?max_term=3", "did you mean max_terms"),
        ("m::reasoning_gym/chain_sum?min_terms=9&max_terms=3", "max_terms must be >= min_terms"),
        ("m::reasoning_gym/chain_sum?size=0", "size=0 must be an integer"),
        ("m::reasoning_gym/chain_sum?seed=-1", "seed=-1 must be an integer"),
        ("m::reasoning_gym/chain_sum@dev", "split 'dev' is unknown"),
    ],
)
def test_bad_task_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        source(text)


def test_task_whose_verifier_needs_python_objects_is_refused(monkeypatch):
    """A task of ours whose verifier wants the tuple that JSON turns into a list."""

    @dataclass
    class PairConfig:
        seed: int = 0
        size: int = 1

    class PairDataset(reasoning_gym.dataset.ProceduralDataset):
        def __init__(self, config):
            super().__init__(config, config.seed, config.size)

        def __getitem__(self, index):
            return {"question": "Which pair?", "answer": "1 2", "metadata": {"pair": (1, 2)}}

        def score_answer(self, answer, entry):
            return float(tuple(map(int, answer.split())) == entry["metadata"]["pair"])

    monkeypatch.setitem(reasoning_gym.factory.DATASETS, "pair", (PairDataset, PairConfig))
    with pytest.raises(ConfigError, match="verifier needs Python objects"):
        source("m::reasoning_gym/pair")


def test_task_that_follows_the_hash_seed_wants_it_fixed(monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    with pytest.raises(ConfigError, match="PYTHONHASHSEED=0"):
        source("m::reasoning_gym/word_ladder?size=2")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert len(source("m::reasoning_gym/word_ladder?size=2")) == 2


def test_same_task_twice_is_refused():
    texts = ("a::reasoning_gym/chain_sum?size=5", "b::reasoning_gym/chain_sum?seed=0&size=6@train")
    with pytest.raises(ConfigError, match="twice"):
        open_sources(texts, "data.train_sources", "train")
    assert len(open_sources((texts[0], "b::reasoning_gym/chain_sum?seed=1"), "data.train_sources", "train")) == 2
