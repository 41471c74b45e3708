# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""HumanEval: raw rows to the problem schema."""

import gzip
import json

import pytest

from grpo_jax.data.preparation.humaneval import convert_row
from grpo_jax.data.preparation.prepare import prepare
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import HUMANEVAL


def test_prompt_shows_the_head_and_keeps_its_indentation():
    row = convert_row(HUMANEVAL, "test", 0, "here")
    assert row["prompt"][0]["content"] == 'def triple(n: int) -> int:\n    """ Three times n. """'


def test_prompt_with_reference_solution_passes_its_check():
    row = convert_row(HUMANEVAL, "test", 0, "here")
    truth, names = row["reward_model"]["ground_truth"], {}
    assert truth["kind"] == "check"
    program = truth["prompt"] + row["extra_info"]["reference_solution"] + truth["test"]
    exec(f"{program}\ncheck({truth['entry_point']})", names)


@pytest.mark.parametrize("field", ["prompt", "test", "entry_point"])
def test_missing_field_is_named(field):
    with pytest.raises(ConfigError, match=f"^here: field {field}"):
        convert_row({**HUMANEVAL, field: None}, "test", 0, "here")


def test_gzipped_release_is_read_and_is_the_test_split(tmp_path):
    (tmp_path / "HumanEval.jsonl.gz").write_bytes(gzip.compress(json.dumps(HUMANEVAL).encode()))
    assert prepare("humaneval", tmp_path / "HumanEval.jsonl.gz", tmp_path / "made.jsonl").rows_out == 1
    assert json.loads((tmp_path / "made.jsonl").read_text())["extra_info"]["split"] == "test"
