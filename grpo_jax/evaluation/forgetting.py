# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What training on one domain costs on another: drops since a domain's best, and the matrix of sequential training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64

SCORE = "pass@1"
"""The figure that forgetting is measured on."""


@dataclass
class BestSoFar:
    """Best score of each domain over a run's evaluations, the one before training included.

    Attributes:
        best: Domain -> best score.
    """

    best: dict[str, float] = field(default_factory=dict)

    def observe(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Take in one evaluation.

        Args:
            figures: Metrics with `eval/{domain}/pass@1` among them.

        Returns:
            `forgetting/{domain}`, the best score so far (this one included) less this one, at least 0, for each domain;
            `forgetting/{domain}/best`; and `forgetting/mean` over the domains.
        """
        scores = {
            name.split("/", 1)[1].removesuffix(f"/{SCORE}"): value
            for name, value in figures.items()
            if name.startswith("eval/") and name.endswith(f"/{SCORE}")
        }
        drops = {}
        for domain, score in scores.items():
            self.best[domain] = max(score, self.best.get(domain, score))
            drops[domain] = self.best[domain] - score
        metrics = {f"forgetting/{domain}": drop for domain, drop in drops.items()}
        metrics |= {f"forgetting/{domain}/best": self.best[domain] for domain in drops}
        return {**metrics, "forgetting/mean": float(np.mean([*drops.values()]))} if drops else {}

    def state(self) -> dict[str, Any]:
        """For a checkpoint; JSON values."""
        return {"best": dict(self.best)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` told."""
        self.best = {str(domain): float(score) for domain, score in state["best"].items()}


@dataclass(frozen=True)
class Transfer:
    """What a sequence of domains did to one another.

    Attributes:
        average_forgetting: Mean over all domains but the last of (best score after any earlier stage - final score);
            above 0 is loss (https://arxiv.org/abs/1801.10112, with stages before a domain's own left in).
        backward_transfer: Mean over all domains but the last of (final score - score right after its own stage); below
            0 is loss (https://arxiv.org/abs/1706.08840).
        forward_transfer: Mean over all domains but the first of (score right before its own stage - score of the
            starting model); what earlier domains taught it (the same paper).
        final_mean: Mean final score.
    """

    average_forgetting: float
    backward_transfer: float
    forward_transfer: float
    final_mean: float


def transfer(scores: Float64[np.ndarray, "T T"], start: Float64[np.ndarray, " T"]) -> Transfer:
    """The summary of a matrix R[i][j], the score on domain j after stage i, which trained on domain i.

    Args:
        scores: R, at least 1 x 1; with one stage nothing can be forgotten and transfers are 0.
        start: Scores of the model before the first stage.

    Raises:
        ValueError: The shapes do not fit.
    """
    scores, start = np.asarray(scores, np.float64), np.asarray(start, np.float64)
    num = len(scores)
    if scores.shape != (num, num) or start.shape != (num,) or not num:
        raise ValueError(f"scores {scores.shape} and start {start.shape} are not [T, T] and [T]")
    if num == 1:
        return Transfer(0.0, 0.0, 0.0, float(scores[-1].mean()))
    own = np.diag(scores)
    return Transfer(
        average_forgetting=float((scores[:-1, :-1].max(axis=0) - scores[-1, :-1]).mean()),
        backward_transfer=float((scores[-1, :-1] - own[:-1]).mean()),
        forward_transfer=float((np.diag(scores, k=1) - start[1:]).mean()),
        final_mean=float(scores[-1].mean()),
    )


def matrix_as_rows(
    domains: Sequence[str], scores: Float64[np.ndarray, "T T"], start: Float64[np.ndarray, " T"]
) -> dict[str, Any]:
    """The matrix as `forgetting_matrix.json` holds it: {"domains", "start", "scores", and the fields of `Transfer`}."""
    return {
        "domains": list(domains),
        "start": np.asarray(start, np.float64).tolist(),
        "scores": np.asarray(scores, np.float64).tolist(),
        **vars(transfer(scores, start)),
    }
