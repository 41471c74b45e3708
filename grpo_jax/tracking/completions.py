# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the policy wrote at a step, one JSON line a completion, for reading and for the report."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_jax.records import Prompt, Rollout, RolloutGroup
from grpo_jax.tracking.run_folder import RunFolder, write_text_atomically


def write_completions(
    folder: RunFolder,
    step: int,
    groups: Sequence[RolloutGroup],
    advantages: Sequence[Sequence[float]],
    host: int | None = None,
) -> Path:
    """Write `completions/step-000010.jsonl`, or `step-000010.host-2.jsonl` in a run of several hosts.

    Args:
        folder: The run.
        step: Step that sampled the groups.
        groups: The groups, as collected.
        advantages: For each group, one advantage a rollout.
        host: Index of the host whose part of the step's groups these are; None where they are all.

    Returns:
        The file written.
    """
    rows = [
        completion_row(step, group.prompt, sample, rollout, float(advantage))
        for group, own in zip(groups, advantages, strict=True)
        for sample, (rollout, advantage) in enumerate(zip(group.rollouts, own, strict=True))
    ]
    part = "" if host is None else f".host-{host}"
    path = folder.completions / f"step-{step:06d}{part}.jsonl"
    write_text_atomically(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))
    return path


def truncate_completions(folder: RunFolder, step: int) -> None:
    """Delete the files of steps after `step`, which a resumed run writes again; -1 deletes all."""
    for path in completion_files(folder):
        if _step_of(path) > step:
            path.unlink(missing_ok=True)  # hosts that share a file system all delete


def completion_files(folder: RunFolder) -> list[Path]:
    """The run's files of completions, in order of their steps and hosts."""
    return sorted(folder.completions.glob("step-*.jsonl"), key=lambda path: (_step_of(path), path.name))


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-").partition(".")[0])


def completion_row(step: int, prompt: Prompt, sample: int, rollout: Rollout, advantage: float) -> dict[str, Any]:
    """One completion as JSON values."""
    problem, completion, reward = prompt.problem, rollout.completion, rollout.reward
    return {
        "step": step,
        "problem_id": problem.id,
        "domain": problem.domain,
        "sample": sample,
        "prompt": problem.messages[-1]["content"] if problem.messages else "",
        "text": rollout.text,
        "ground_truth": problem.ground_truth,
        "status": str(reward.status),
        "reason": reward.reason,
        "total": None if reward.total is None else float(reward.total),
        "parts": {name: float(value) for name, value in reward.parts.items()},
        "advantage": advantage,
        "prompt_tokens": len(prompt.token_ids),
        "completion_tokens": completion.num_sampled,
        "finish_reason": completion.finish_reason,
        "policy_version": rollout.policy_version,
    }
