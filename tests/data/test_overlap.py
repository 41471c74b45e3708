# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Problems that stand in training and evaluation, or twice in training."""

import pytest

from grpo_jax.data.files import write_rows
from grpo_jax.data.overlap import count_duplicates, refuse_overlap
from grpo_jax.data.sources import open_sources
from grpo_jax.records import ConfigError


def row(text, truth="1", system=None):
    prompt = [{"role": "system", "content": system}] if system else []
    prompt.append({"role": "user", "content": text})
    return {"prompt": prompt, "data_source": "x", "reward_model": {"ground_truth": truth}}


@pytest.fixture
def opened(tmp_path):
    def write_and_open(**files):
        for name, rows in files.items():
            write_rows(tmp_path / f"{name}.parquet", rows)
        return [open_sources([f"x::{tmp_path}/{name}.parquet"], "f", "train")[0] for name in files]

    return write_and_open


def test_same_question_is_refused_with_both_places(opened):
    train, more, held_out = opened(
        train=[row("a"), row("b")], more=[row("c"), row("d"), row("e")], held_out=[row("f"), row("  d\n")]
    )
    with pytest.raises(
        ConfigError, match=r"more\.parquet row 1 .* asks the same as .*held_out\.parquet row 1 .*remove"
    ):
        refuse_overlap([train, more], [held_out])
    refuse_overlap([train], [held_out])
    refuse_overlap([train, more], [])


def test_same_question_with_another_answer_is_refused(opened):
    train, held_out = opened(train=[row("d", "1")], held_out=[row("d", "2")])
    with pytest.raises(ConfigError, match="asks the same"):
        refuse_overlap([train], [held_out])


def test_same_words_in_another_conversation_are_another_problem(opened):
    train, held_out = opened(
        train=[row("What is the weather?", "f()", system="Functions: f")],
        held_out=[row("What is the weather?", "g()", system="Functions: g")],
    )
    refuse_overlap([train], [held_out])


def test_added_instructions_do_not_hide_a_problem(opened):
    train, held_out = opened(train=[row("d", "1", system="Be brief.")], held_out=[row("d", "1")])
    with pytest.raises(ConfigError, match="asks the same"):
        refuse_overlap([train], [held_out])


def test_duplicates_of_training_are_counted_and_logged(opened, caplog):
    one, two = opened(one=[row("a"), row("b"), row("a ")], two=[row("c"), row("b"), row("a")])
    assert count_duplicates([two]) == 0
    assert not caplog.records
    assert count_duplicates([one, two]) == 3
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("3 of 6 training problems")
    assert "one.parquet row 2 (as " in message
    assert "one.parquet row 0)" in message


def test_generated_tasks_are_left_to_their_seeds(opened):
    pytest.importorskip("reasoning_gym")
    (train,) = opened(train=[row("a")])
    tasks = open_sources(["x::reasoning_gym/chain_sum?size=5"], "f", "train")
    refuse_overlap([train, *tasks], tasks)
    assert count_duplicates(tasks) == 0
