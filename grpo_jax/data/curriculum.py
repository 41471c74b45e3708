# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Which buckets and temperatures a point of the run asks for."""

import functools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from grpo_jax.curriculum_config import BUCKETS, BucketSpan, DifficultyConfig
from grpo_jax.data.mixing import ChangingMix, Mix, between, exact, normalised


def bucket_mix(
    settings: DifficultyConfig, schedule: Sequence[BucketSpan] | None, num_steps: int, learned: bool
) -> ChangingMix:
    """The mix of easy, medium and hard of every step.

    Args:
        settings: Run-wide schedule and interpolation.
        schedule: A domain's own schedule, if any.
        num_steps: Steps of the run; progress is step / num_steps.
        learned: Whether other mixes than these will be made of it on the way.
    """
    spans = schedule or settings.schedule
    mixes = [normalised(span.weights) for span in spans]
    ends = [exact(span.until) for span in spans]
    starts = [Fraction(0), *ends[:-1]]
    linear = settings.interpolation == "linear" and len(spans) > 1

    @functools.lru_cache(maxsize=4096)
    def at(step: int) -> Mix:
        progress = Fraction(step, num_steps)
        number = min(sum(progress >= end for end in ends), len(ends) - 1)
        if not linear or number == len(ends) - 1:
            return mixes[number]
        way = (progress - starts[number]) / (ends[number] - starts[number])
        return between(mixes[number], mixes[number + 1], way)

    return ChangingMix(at, mixes, moving=linear or learned)


def replaced_buckets(sizes: Sequence[int]) -> tuple[int, ...]:
    """For each bucket the one to draw from: itself, or the nearest that is not empty (the easier of two alike)."""
    filled = [bucket for bucket, size in enumerate(sizes) if size]
    return tuple(min(filled, key=lambda other: (abs(other - bucket), other)) for bucket in range(len(sizes)))


def sampling_temperature(
    settings: DifficultyConfig, bucket: str | None, domain_temperature: float, progress: float
) -> float:
    """Temperature to sample a drawn prompt at.

    Args:
        settings: Its `temperature_by_bucket` takes the place of the domain's; `temperature_by_progress` multiplies.
        bucket: Of the problem; None where its domain has no rule.
        domain_temperature: What the domain or the run says.
        progress: Steps done / steps in all.
    """
    assert bucket is None or bucket in BUCKETS
    own = settings.temperature_by_bucket.get(bucket, domain_temperature) if bucket else domain_temperature
    points = settings.temperature_by_progress
    if not points:
        return own
    return own * float(np.interp(progress, [p.progress for p in points], [p.factor for p in points]))
