# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of completions."""

import json

import numpy as np
import pytest

from grpo_jax.records import Completion, Problem, Prompt, Reward, RewardStatus, Rollout, RolloutGroup
from grpo_jax.tracking.completions import completion_files, truncate_completions, write_completions
from grpo_jax.tracking.run_folder import RunFolder


def group(texts):
    problem = Problem("sums#1", "math", ({"role": "system", "content": "s"}, {"role": "user", "content": "1+1"}), "2")
    completion = Completion(np.arange(3, dtype=np.int32), np.zeros(3, np.float32), "stop", np.zeros(3, np.float32))
    scored = Reward(RewardStatus.PASS, 1.5, {"math": np.float32(1.0)})
    unscored = Reward(RewardStatus.INVALID, None, {}, reason="verifier raised")
    rollouts = [Rollout(completion, text, unscored if text == "?" else scored, 4) for text in texts]
    return RolloutGroup(Prompt(problem, np.arange(5, dtype=np.int32)), tuple(rollouts))


def test_file_holds_one_row_a_completion_with_the_documented_fields(tmp_path):
    folder = RunFolder(tmp_path, "run")
    path = write_completions(folder, 10, [group(["två", "?"])], [[0.5, np.float32(0)]])
    assert path == folder.completions / "step-000010.jsonl"
    first, second = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert first == {
        "step": 10,
        "problem_id": "sums#1",
        "domain": "math",
        "sample": 0,
        "prompt": "1+1",
        "text": "två",
        "ground_truth": "2",
        "status": "pass",
        "reason": "",
        "total": 1.5,
        "parts": {"math": 1.0},
        "advantage": 0.5,
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "finish_reason": "stop",
        "policy_version": 4,
    }
    assert (second["status"], second["total"], second["sample"]) == ("invalid", None, 1)


def test_line_separators_inside_a_text_do_not_split_its_row(tmp_path):
    path = write_completions(RunFolder(tmp_path, "run"), 1, [group(["a\u2028b\nc", "d"])], [[0.0, 0.0]])
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert [row["text"] for row in rows] == ["a\u2028b\nc", "d"]


def test_advantages_that_do_not_match_the_groups_are_refused(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        write_completions(RunFolder(tmp_path, "run"), 1, [group(["a", "b"])], [[0.0]])


def test_truncation_deletes_later_steps_only(tmp_path):
    folder = RunFolder(tmp_path, "run")
    for step in (5, 10, 1_000_000):
        write_completions(folder, step, [group(["a"])], [[0.0]])
    truncate_completions(folder, 10)
    assert [path.stem for path in completion_files(folder)] == ["step-000005", "step-000010"]
