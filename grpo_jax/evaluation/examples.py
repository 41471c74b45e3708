# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Every evaluated completion with its scores, as one Parquet file an evaluation."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grpo_jax.records import ConfigError, RolloutGroup

SCHEMA = pa.schema(
    [
        ("domain", pa.string()),
        ("problem_id", pa.string()),
        ("sample", pa.int32()),
        ("status", pa.string()),
        ("reward", pa.float64()),
        ("parts", pa.map_(pa.string(), pa.float64())),
        ("answer", pa.string()),
        ("ground_truth", pa.string()),
        ("prompt", pa.string()),
        ("text", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("finish_reason", pa.string()),
        ("reason", pa.string()),
    ]
)
"""`reward` is null where the checker failed; `ground_truth` is JSON unless it is text."""


def write_examples(path: str | Path, groups: Sequence[RolloutGroup]) -> Path:
    """Write one row a completion, whole or not at all.

    Raises:
        ConfigError: The file cannot be written.
    """
    path = Path(path)
    rows = [row for group in groups for row in _rows(group)]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, temporary, compression="zstd")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    return path


def truncate_examples(folder: Path, step: int) -> None:
    """Delete the files of steps after `step`, which a resumed run writes again; -1 deletes all."""
    for path in folder.glob("step-*.parquet"):
        if int(path.stem.removeprefix("step-")) > step:
            path.unlink(missing_ok=True)  # hosts that share a file system all delete


def _rows(group: RolloutGroup) -> list[dict[str, Any]]:
    problem = group.prompt.problem
    truth = problem.ground_truth
    return [
        {
            "domain": problem.domain,
            "problem_id": _text(problem.id),
            "sample": sample,
            "status": str(rollout.reward.status),
            "reward": rollout.reward.total,
            "parts": [(name, float(value)) for name, value in rollout.reward.parts.items()],
            "answer": None if rollout.reward.answer is None else _text(rollout.reward.answer),
            "ground_truth": _text(truth if isinstance(truth, str) else json.dumps(truth, ensure_ascii=False)),
            "prompt": _text(problem.messages[-1]["content"] if problem.messages else ""),
            "text": _text(rollout.text),
            "prompt_tokens": len(group.prompt.token_ids),
            "completion_tokens": rollout.completion.num_sampled,
            "finish_reason": rollout.completion.finish_reason,
            "reason": _text(rollout.reward.reason),
        }
        for sample, rollout in enumerate(group.rollouts)
    ]


def _text(text: str) -> str:
    """Text that UTF-8 can hold: half surrogate pairs, which JSON can bring in, are written as escapes."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
