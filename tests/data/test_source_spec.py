# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The words that name a source."""

import pytest

from grpo_jax.data.source_spec import parse_source
from grpo_jax.records import ConfigError


def test_files_keep_wildcards_and_take_an_optional_split():
    spec = parse_source("math::data/gsm8k/part-?.parquet")
    assert (spec.kind, spec.domain, spec.dataset, spec.split) == ("files", "math", "data/gsm8k/part-?.parquet", None)
    assert parse_source("data/a@b/rows.jsonl@test").split == "test"
    assert parse_source("data/rows@v2.jsonl").dataset == "data/rows@v2.jsonl"
    assert parse_source("rows.jsonl").domain is None


def test_hub_name_with_configuration():
    spec = parse_source("math::openai/gsm8k?name='main'@train[:10]")
    assert (spec.kind, spec.dataset, spec.split) == ("hub", "openai/gsm8k", "train[:10]")
    assert spec.parameters == (("name", "main"),)


def test_reasoning_gym_parameters_are_typed_literals():
    spec = parse_source("logic::reasoning_gym/chain_sum?size=50&max_terms=3&allow_negation=True&ratio=0.5@test")
    assert (spec.kind, spec.dataset, spec.split) == ("reasoning_gym", "chain_sum", "test")
    assert dict(spec.parameters) == {"size": 50, "max_terms": 3, "allow_negation": True, "ratio": 0.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("::rows.jsonl", "no domain"),
        ("math::", "no dataset"),
        ("math::reasoning_gym/@train", "no dataset"),
        ("math::openai/gsm8k@", "no split"),
        ("reasoning_gym/chain_sum?max_terms", "name=value"),
        ("reasoning_gym/chain_sum?max_terms=three", "max_terms=three is not a Python literal"),
        ("reasoning_gym/chain_sum?size=1&size=2", "parameter size twice"),
        ("reasoning_gym/chain_sum@test?size=1", "before the split"),
    ],
)
def test_bad_source_is_named(text, said):
    with pytest.raises(ConfigError, match=said) as caught:
        parse_source(text)
    assert repr(text) in str(caught.value)


def test_paths_and_folders_are_no_names_of_the_hub(tmp_path, monkeypatch):
    (tmp_path / "data" / "pddl").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    kinds = {
        text: parse_source(f"planning::{text}").kind
        for text in ("data/pddl", "data/gone", "./gone", "/gone", "some/deeper/folder", "openai/gsm8k?name='main'")
    }
    assert kinds == {
        "data/pddl": "files",
        "data/gone": "hub",
        "./gone": "files",
        "/gone": "files",
        "some/deeper/folder": "files",
        "openai/gsm8k?name='main'": "hub",
    }
    assert parse_source("data/pddl@train").split == "train"
