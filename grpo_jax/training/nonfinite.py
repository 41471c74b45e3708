# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""An update whose loss or gradient is not finite: what is written down of it, and the error that ends the run."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from grpo_jax.parallel.processes import is_main
from grpo_jax.records import RolloutGroup, RunStoppedError
from grpo_jax.tracking.run_folder import write_text_atomically

_NAMED = 3


class NonFiniteError(RunStoppedError):
    """A loss or gradient of the run became NaN or infinite; nothing of that step is saved."""


@dataclass(frozen=True)
class NonFiniteUpdate:
    """One such update.

    Attributes:
        step: Of the outer loop.
        update: Of the step's updates, counted from 1.
        loss: As it came out.
        grad_norm: As it came out, before clipping.
        leaves: Parameters whose gradient is not finite; empty where only the norm or the loss overflowed.
        problems: Learned from, as `problem_rows` gives them.
    """

    step: int
    update: int
    loss: float
    grad_norm: float
    leaves: tuple[str, ...]
    problems: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        suspects = [row["id"] for row in self.problems if not all(row["finite"])]
        what = f"the gradient of {_some(self.leaves)}" if self.leaves else "a sum of finite gradients"
        whose = f"; from problem {_some(suspects)}" if suspects else ""
        numbers = f"loss {self.loss}, gradient norm {self.grad_norm}"
        return f"step {self.step}, update {self.update}: {numbers}; not finite is {what}{whose}"


def problem_rows(
    contents: Sequence[tuple[RolloutGroup, bool]], finite: Bool[np.ndarray, "P G"]
) -> tuple[dict[str, Any], ...]:
    """One JSON object a problem: id, domain, whether it was replayed, and lists of a value a completion.

    Args:
        contents: The groups of the update, fresh ones first, each with whether it is replayed.
        finite: Whether all statistics of each fresh completion are finite: the others are where to look.
    """
    return tuple(
        {
            "id": group.prompt.problem.id,
            "domain": group.prompt.problem.domain,
            "replayed": replayed,
            "prompt_tokens": len(group.prompt.token_ids),
            "completion_tokens": [len(rollout.completion.token_ids) for rollout in group.rollouts],
            "rewards": [rollout.reward.total for rollout in group.rollouts],
            "finite": [True] * len(group.rollouts) if replayed else finite[number].tolist(),
            "texts": [rollout.text for rollout in group.rollouts],
        }
        for number, (group, replayed) in enumerate(contents)
    )


def write_dump(folder: Path, found: NonFiniteUpdate) -> Path:
    """Write `step-000017-update-1.json` of a folder, made where absent; by the first process alone.

    Numbers that JSON has no word for stand as text: "nan", "inf", "-inf".
    """
    path = folder / f"step-{found.step:06d}-update-{found.update}.json"
    if is_main():
        write_text_atomically(path, json.dumps(_plain(asdict(found)), indent=2, ensure_ascii=False) + "\n")
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
