# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How the rollout functions of a step ended, by domain."""

from collections.abc import Sequence

import numpy as np

from grpo_jax.config import RunConfig
from grpo_jax.records import RolloutEnd, RolloutGroup


def rollout_metrics(groups: Sequence[RolloutGroup], config: RunConfig) -> dict[str, float]:
    """Counts of each end, and sizes of the trajectories there are; nothing for domains without a rollout function.

    Returns:
        `rollout/{domain}/` and `done`, `turn_limit`, `token_limit`, `raised`, `hung`, `nonsense` (rollouts that ended
        so), `turns` (mean), `turns_max`, `environment_tokens` (mean of those that were not sampled).
    """
    metrics: dict[str, float] = {}
    for name, domain in config.domains.items():
        if domain.rollout is None:
            continue
        rollouts = [r for group in groups if group.prompt.problem.domain == name for r in group.rollouts]
        if not rollouts:
            continue
        for end in RolloutEnd:
            metrics[f"rollout/{name}/{end}"] = float(sum(rollout.end is end for rollout in rollouts))
        completions = [rollout.completion for rollout in rollouts if not rollout.end.failed]
        if completions:
            turns = [1 + int(completion.turn_of_token.max()) for completion in completions]
            written = [len(completion.token_ids) - completion.num_sampled for completion in completions]
            metrics[f"rollout/{name}/turns"] = float(np.mean(turns))
            metrics[f"rollout/{name}/turns_max"] = float(max(turns))
            metrics[f"rollout/{name}/environment_tokens"] = float(np.mean(written))
    return metrics
