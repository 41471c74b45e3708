# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How often a run's completions chose each twin of the reasoning vocabulary: metrics of a step, a table of the run."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from grpo_jax.models.reasoning_tags import ReasoningTags
from grpo_jax.models.vocabulary import TokenMap
from grpo_jax.records import RolloutGroup
from grpo_jax.tracking.run_folder import write_text_atomically

COLUMNS = ("id", "base_id", "text", "twin_count", "base_count")


class TwinUsage:
    """Counts over all steps of a run, of the completions that were learned from."""

    def __init__(self, token_map: TokenMap, tags: ReasoningTags):
        self._map, self._tags = token_map, tags
        self._counts = np.zeros(token_map.num_base + token_map.num_twins, np.int64)

    def observe(self, groups: Sequence[RolloutGroup]) -> dict[str, float]:
        """Count a step's completions.

        Returns:
            For each domain `vocabulary/{domain}/inside_fraction`, the share of tokens chosen inside the tags; and where
            there are such tokens, `/twin_fraction`, the share of twins among them, and `/distinct_twins`, how many
            different twins these were.
        """
        metrics: dict[str, float] = {}
        for domain in dict.fromkeys(group.prompt.problem.domain for group in groups):
            own = [group for group in groups if group.prompt.problem.domain == domain]
            counts, num_tokens = self._inside_counts(own)
            self._counts += counts
            num_inside, twins = int(counts.sum()), counts[self._map.num_base :]
            metrics[f"vocabulary/{domain}/inside_fraction"] = num_inside / max(num_tokens, 1)
            if num_inside:
                metrics[f"vocabulary/{domain}/twin_fraction"] = float(twins.sum()) / num_inside
                metrics[f"vocabulary/{domain}/distinct_twins"] = float(np.count_nonzero(twins))
        return metrics

    def table(self) -> str:
        """CSV of every twin that was used, or whose base id was used inside the tags, the most used twin first.

        `twin_count` are the uses of the twin, `base_count` those of its base id inside the tags; `text` is a JSON
        string, since tokens hold line breaks.
        """
        num_base = self._map.num_base
        twins = np.arange(self._map.num_twins)
        uses, base_uses = self._counts[num_base:], self._counts[twins % num_base]
        seen = np.flatnonzero(uses + base_uses)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i in seen[np.lexsort((seen, -base_uses[seen], -uses[seen]))].tolist():
            spelled = json.dumps(self._tags.token_bytes[i % num_base].decode(errors="replace"), ensure_ascii=False)
            writer.writerow([num_base + i, i % num_base, spelled, int(uses[i]), int(base_uses[i])])
        return text.getvalue()

    def write(self, path: Path) -> None:
        """Write the table of the run so far."""
        write_text_atomically(path, self.table())

    def state(self) -> dict[str, int]:
        """Count of each id that was used inside the tags, for a checkpoint."""
        return {str(i): int(self._counts[i]) for i in np.flatnonzero(self._counts)}

    def restore(self, state: Mapping[str, int]) -> None:
        """Take over what `state` told."""
        self._counts[:] = 0
        for token_id, count in state.items():
            self._counts[int(token_id)] = count

    def _inside_counts(self, groups: Sequence[RolloutGroup]) -> tuple[Int64[np.ndarray, " ids"], int]:
        """Uses of each id inside the tags, and the number of all tokens."""
        rows = [rollout.completion.token_ids for group in groups for rollout in group.rollouts]
        starts = [self._tags.start_state(group.prompt.token_ids) for group in groups for _ in group.rollouts]
        sampled = [rollout.completion.sampled for group in groups for rollout in group.rollouts]
        ids = np.zeros((len(rows), max(1, *map(len, rows))), np.int32)
        real = np.zeros(ids.shape, bool)
        for row, places, own, by_policy in zip(ids, real, rows, sampled, strict=True):
            row[: len(own)] = own
            places[: len(own)] = by_policy
        inside = self._tags.inside(ids, np.array(starts)) & real
        return np.bincount(ids[inside], minlength=len(self._counts)), int(real.sum())
