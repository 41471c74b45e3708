# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The Parquet file of evaluated completions, read back."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from grpo_jax.evaluation.examples import truncate_examples, write_examples
from grpo_jax.records import ConfigError
from tests.fakes.groups import make_group


def groups():
    found = [make_group([1, 2], [[65], [66, 67]], [1.0, None], f"problem-{number}") for number in range(3)]
    odd = found[2].rollouts[0]
    rollouts = (
        replace(odd, text="half \ud800 pair", reward=replace(odd.reward, answer="\udfff")),
        found[2].rollouts[1],
    )
    problem = replace(found[2].prompt.problem, ground_truth={"calls": []})
    return [*found[:2], replace(found[2], rollouts=rollouts, prompt=replace(found[2].prompt, problem=problem))]


def test_every_completion_is_a_row_whatever_its_text(tmp_path):
    rows = pq.read_table(write_examples(tmp_path / "new" / "examples.parquet", groups())).to_pylist()
    assert [(row["problem_id"], row["sample"]) for row in rows] == [
        (f"problem-{n}", s) for n in range(3) for s in (0, 1)
    ]
    assert rows[0]["reward"] == 1.0
    assert dict(rows[0]["parts"]) == {"judge": 1.0}
    assert rows[1]["reward"] is None
    assert rows[1]["status"] == "invalid"
    assert rows[4]["text"] == "half \\ud800 pair"
    assert rows[4]["ground_truth"] == '{"calls": []}'
    assert rows[1]["completion_tokens"] == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/examples\.parquet"):
        write_examples(tmp_path / "file" / "examples.parquet", groups())


def test_files_of_steps_that_will_be_repeated_go(tmp_path):
    for step in (0, 2, 4):
        write_examples(tmp_path / f"step-{step:06d}.parquet", groups())
    truncate_examples(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000.parquet", "step-000002.parquet"]
    truncate_examples(tmp_path, -1)
    assert not [*tmp_path.iterdir()]
