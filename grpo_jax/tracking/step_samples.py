# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What trackers show of a step beside its figures: spreads by domain, and the best and worst completion of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grpo_jax.records import Rollout, RolloutGroup

_TEXT_CHARACTERS = 2_000


@dataclass(frozen=True)
class StepSamples:
    """Histograms `rewards/{domain}`, `lengths/{domain}` and `advantages/{domain}`, and texts `samples/{domain}`."""

    histograms: dict[str, Float[np.ndarray, " values"]]
    texts: dict[str, str]


def step_samples(groups: Sequence[RolloutGroup], advantages: Sequence[Sequence[float]]) -> StepSamples:
    """Collect by domain what is worth a look.

    Args:
        groups: Of the step.
        advantages: For each group, one a rollout.
    """
    by_domain: dict[str, list[tuple[RolloutGroup, Rollout, float]]] = {}
    for group, own in zip(groups, advantages, strict=True):
        rows = by_domain.setdefault(group.prompt.problem.domain, [])
        rows.extend((group, rollout, float(value)) for rollout, value in zip(group.rollouts, own, strict=True))
    histograms: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    for domain, rows in by_domain.items():
        lengths = [rollout.completion.num_sampled for _, rollout, _ in rows]
        histograms[f"lengths/{domain}"] = np.array(lengths, np.float64)
        histograms[f"advantages/{domain}"] = np.array([value for *_, value in rows], np.float64)
        scored = [(group, rollout, rollout.reward.total) for group, rollout, _ in rows]
        kept = [(group, rollout, total) for group, rollout, total in scored if total is not None]
        if kept:
            histograms[f"rewards/{domain}"] = np.array([total for *_, total in kept], np.float64)
            chosen = [min(kept, key=lambda row: row[2]), max(kept, key=lambda row: row[2])]
            texts[f"samples/{domain}"] = "\n\n".join(_markdown(*row) for row in reversed(chosen))
    return StepSamples(histograms, texts)


def _markdown(group: RolloutGroup, rollout: Rollout, total: float) -> str:
    """A completion as Markdown that shows its text as it is: each line indented, so that no line is markup."""
    messages = group.prompt.problem.messages
    prompt = str(messages[-1]["content"]) if messages else ""
    blocks = [
        "\n".join("    " + line for line in text[:_TEXT_CHARACTERS].splitlines()) for text in (prompt, rollout.text)
    ]
    return f"**reward {total:.3g}, {rollout.reward.status}**\n\n{blocks[0]}\n\n*completion*\n\n{blocks[1]}"
