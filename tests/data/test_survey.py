# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The pass over all rows: by columns it finds what it finds row by row."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grpo_jax.data.arrow_survey import survey_batch
from grpo_jax.data.files import open_file
from grpo_jax.data.schema import problem_from_row
from grpo_jax.data.survey import survey, text_hash

GOOD = {
    "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}],
    "data_source": "made_up",
    "ability": "math",
    "reward_model": {"style": "rule", "ground_truth": "1", "weight": 0.5, "encoding": None},
    "extra_info": {"split": "train", "scores": [1.0]},
    "domain": "math",
    "difficulty": 2.0,
}
VARIANTS = [
    GOOD,
    {**GOOD, "prompt": []},
    {**GOOD, "prompt": None},
    {**GOOD, "prompt": [{"role": "user", "content": None}]},
    {**GOOD, "prompt": [{"role": "robot", "content": "x"}]},
    {**GOOD, "prompt": [{"role": None, "content": "x"}]},
    {**GOOD, "prompt": [None]},
    {**GOOD, "prompt": [{"role": "user", "content": "first"}, {"role": "assistant", "content": "then"}]},
    {**GOOD, "prompt": [{"role": "assistant", "content": "first"}, {"role": "assistant", "content": "last"}]},
    {**GOOD, "prompt": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]},
    {**GOOD, "reward_model": None},
    {**GOOD, "reward_model": {**GOOD["reward_model"], "ground_truth": None}},
    {**GOOD, "reward_model": {**GOOD["reward_model"], "ground_truth": "[1", "encoding": "json"}},
    {**GOOD, "reward_model": {**GOOD["reward_model"], "ground_truth": "[1]", "encoding": "json"}},
    {**GOOD, "extra_info": None},
    {**GOOD, "extra_info": {"split": "test", "scores": None}},
    {**GOOD, "domain": None},
    {**GOOD, "domain": "", "data_source": "other"},
    {**GOOD, "domain": None, "data_source": None},
    {**GOOD, "difficulty": None},
    {**GOOD, "difficulty": float("nan")},
    {**GOOD, "difficulty": float("inf")},
    GOOD,
]
NOT_FINITE = {**GOOD, "extra_info": {"split": "train", "scores": [float("nan")]}}


class RowByRow:
    """A table that hides its columns."""

    def __init__(self, rows):
        self._rows = rows

    def __getattr__(self, name):
        return getattr(self._rows, name)

    def __len__(self):
        return len(self._rows)

    def chunks(self):
        yield 0, len(self._rows), None


def look(rows, domain=None, split=None, max_rows=None):
    def make(number, row):
        return problem_from_row(row, "", rows.where(number), domain)

    return survey(rows, make, domain, split, max_rows)


@pytest.mark.parametrize("rows", [VARIANTS, [*VARIANTS, NOT_FINITE], [GOOD, GOOD]], ids=["all", "not finite", "good"])
@pytest.mark.parametrize("domain", [None, "given"])
@pytest.mark.parametrize("split", [None, "train", "test", "dev"])
@pytest.mark.parametrize("max_rows", [None, 3])
def test_columns_and_rows_give_equal_surveys(tmp_path, rows, domain, split, max_rows):
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=5)
    table = open_file(str(tmp_path / "rows.parquet"))
    fast = look(table, domain, split, max_rows)
    slow = look(RowByRow(table), domain, split, max_rows)
    for field in dataclasses.fields(fast):
        np.testing.assert_array_equal(getattr(fast, field.name), getattr(slow, field.name), field.name)


def test_good_rows_are_not_looked_at_one_by_one():
    """What the speed rests on: whole columns pass, and only odd rows are made into problems."""
    (batch,) = pa.Table.from_pylist(VARIANTS).to_batches()
    found = survey_batch(batch, None, None)
    assert found is not None
    usable = [0, 7, 8, 9, 14, 15, 16, 17, 19, 20, 22]
    assert np.flatnonzero(~found.odd).tolist() == usable
    assert [found.texts[i] for i in (0, 7, 8, 9)] == ["How many?", "first", "last", "two"]
    assert [found.domains[i] for i in (0, 16, 17)] == ["math", "made_up", "other"]


@pytest.mark.parametrize("field", ["prompt", "reward_model", "extra_info", "ability", "difficulty"])
def test_columns_of_other_types_are_left_to_the_rows(field):
    (batch,) = pa.Table.from_pylist([{**GOOD, field: b"bytes"}]).to_batches()
    assert survey_batch(batch, None, None) is None


def test_slices_of_batches_are_surveyed_by_their_own_rows():
    (batch,) = pa.Table.from_pylist(VARIANTS).to_batches()
    whole, part = survey_batch(batch, None, "train"), survey_batch(batch.slice(4, 15), None, "train")
    assert whole is not None
    assert part is not None
    np.testing.assert_array_equal(part.odd, whole.odd[4:19])
    np.testing.assert_array_equal(part.chosen, whole.chosen[4:19])
    assert [part.texts[i - 4] for i in (7, 8, 9)] == ["first", "last", "two"]


def test_hash_ignores_white_space_alone():
    assert text_hash(" How\nmany ? ") == text_hash("How many ?")
    assert text_hash("How many?") != text_hash("how many?")
    assert text_hash("How many?") != text_hash("Howmany?")


def test_no_row_is_read_beyond_those_wanted(tmp_path):
    (tmp_path / "rows.jsonl").write_text(
        '{"prompt": [{"role": "user", "content": "a"}], "data_source": "x", '
        '"reward_model": {"ground_truth": "1"}}\nnot JSON\n'
    )
    table = open_file(str(tmp_path / "rows.jsonl"))
    assert look(table, max_rows=1).bad_rows == ()
    assert len(look(table).bad_rows) == 1
