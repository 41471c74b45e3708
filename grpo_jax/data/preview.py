# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The draw of a run without its model: which problems each step would take, and how near the counts are to the mix.

Without a tokenizer no prompt is too long, and without completions nothing is learned from solve rates; elsewhere the
steps are those of training.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from grpo_jax.config import RunConfig
from grpo_jax.curriculum_config import BUCKETS, BucketSpan
from grpo_jax.data.draw_plan import DrawPlan, StepPlan
from grpo_jax.data.problem_sets import buckets_by_domain, steps_of_run, training_problems


@dataclass(frozen=True)
class Preview:
    """Counts of the steps that were drawn, T steps of D domains.

    Attributes:
        num_steps: Steps of the run; progress is step / num_steps.
        num_problems: By domain.
        counts: Prompts by step and domain.
        shares: What each domain's share of the step's prompts was, in prompts.
        bucket_counts: By domain with a difficulty rule: prompts by step and bucket.
        bucket_targets: By domain with a difficulty rule: weights in force by step and bucket.
        spans: By domain with a difficulty rule: its schedule.
        bucket_sizes: By domain with a difficulty rule: problems of each bucket.
    """

    num_steps: int
    num_problems: Mapping[str, int]
    counts: Int64[np.ndarray, "T D"]
    shares: Float64[np.ndarray, "T D"]
    bucket_counts: Mapping[str, Int64[np.ndarray, "T 3"]]
    bucket_targets: Mapping[str, Float64[np.ndarray, "T 3"]]
    spans: Mapping[str, tuple[BucketSpan, ...]]
    bucket_sizes: Mapping[str, Int64[np.ndarray, " 3"]]

    def furthest(self) -> Float64[np.ndarray, " D"]:
        """Greatest difference of each domain's running count from its running share, over all steps."""
        return np.abs(np.cumsum(self.counts, axis=0) - np.cumsum(self.shares, axis=0)).max(axis=0)

    def furthest_in_a_batch(self) -> Float64[np.ndarray, " D"]:
        """Greatest difference of a batch's count from its share, over all steps."""
        return np.abs(self.counts - self.shares).max(axis=0)

    def span_of_steps(self, domain: str) -> Int64[np.ndarray, " T"]:
        """Number of the domain's span that each step is in."""
        ends = np.array([span.until for span in self.spans[domain]])
        progress = np.arange(len(self.counts)) / self.num_steps
        return np.minimum(np.searchsorted(ends, progress, side="right"), len(ends) - 1)


def preview(config: RunConfig, steps: int | None, each: Callable[[dict[str, Any]], None]) -> Preview:
    """Draw the first steps of a run.

    Args:
        config: The run; its model and evaluation sources are not looked at.
        steps: How many; None is the whole run.
        each: Called with every drawn problem, in order: step (from 0), slot, domain, bucket (or None), id, source.

    Raises:
        ConfigError: A source cannot be used, or a problem has no difficulty by its domain's rule.
    """
    _, problems = training_problems(config)
    sizes = {name: len(own) for name, own in problems.items()}
    buckets = buckets_by_domain(config, problems)
    num_steps = steps_of_run(config, sizes)
    plan = DrawPlan(config, sizes, buckets, num_steps, lambda name, index: True)
    plans: list[StepPlan] = []
    for _ in range(num_steps if steps is None else steps):
        plans.append(plan.next())
        for slot, (name, bucket, index) in enumerate(plans[-1].slots):
            own = problems[name]
            each(
                {
                    "step": plans[-1].step,
                    "slot": slot,
                    "domain": name,
                    "bucket": bucket,
                    "id": own.problem_id(index),
                    "source": own.source_text(index),
                }
            )
    return _summary(config, sizes, buckets, num_steps, plans)


def _summary(
    config: RunConfig,
    sizes: Mapping[str, int],
    buckets: Mapping[str, np.ndarray],
    num_steps: int,
    plans: list[StepPlan],
) -> Preview:
    drawn = [Counter((slot.domain, slot.bucket) for slot in plan.slots) for plan in plans]
    every = (*BUCKETS, None)
    counts = np.array([[sum(own[name, bucket] for bucket in every) for name in sizes] for own in drawn])
    places = config.data.prompts_per_step
    shares = places * np.array([[plan.domain_targets[name] for name in sizes] for plan in plans])
    bucket_counts = {name: np.array([[own[name, bucket] for bucket in BUCKETS] for own in drawn]) for name in buckets}
    targets = {
        name: np.array(
            [[plan.bucket_targets.get(name, {}).get(bucket, np.nan) for bucket in BUCKETS] for plan in plans]
        )
        for name in buckets
    }
    spans = {name: config.domains[name].schedule or config.curriculum.difficulty.schedule for name in buckets}
    bucket_sizes = {name: np.bincount(own, minlength=len(BUCKETS)) for name, own in buckets.items()}
    return Preview(num_steps, sizes, counts, shares, bucket_counts, targets, spans, bucket_sizes)
