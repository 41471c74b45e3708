# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The shapes that a step's updates will have, before there is anything to learn from."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from grpo_jax.config import RunConfig
from grpo_jax.rollout.packing import PackingPlan, RowShape, TrainBatch, shape_of
from grpo_jax.sampling.buckets import bucket_of


def next_rows(
    config: RunConfig, plan: PackingPlan, longest_prompt: int, last: Sequence[RowShape] = ()
) -> tuple[RowShape, ...]:
    """Shapes of the updates of the next step, as far as they can be known before it.

    They are those of the last step where there was one. Before the first step, rows are taken to be as long as they can
    be: all have as many lines as the longest needs, and among many groups one is likely to have all its completions cut
    off. Minibatches of different numbers of groups may have different shapes.

    Args:
        config: The run.
        plan: As its learner packs by.
        longest_prompt: Of a step, in tokens.
        last: Shapes of the last step, perhaps of a run on another mesh.
    """
    fitting = tuple(rows for rows in last if rows.rows % plan.row_multiple == 0)
    if fitting:
        return fitting
    batches, group_size = config.training.minibatches, config.sampling.group_size
    prompt_tokens = bucket_of(longest_prompt, plan.prompt_buckets)
    fresh, replayed = (
        [len(part) for part in np.array_split(np.arange(count), batches)]
        for count in (config.data.prompts_per_step, config.replay.groups_per_step)
    )
    places = config.replay.places(group_size)
    sizes = [[group_size] * own + [places] * again for own, again in zip(fresh, replayed, strict=True)]
    shapes = [shape_of(own, prompt_tokens, plan.completion_buckets[-1], plan) for own in sizes if own]
    return tuple(dict.fromkeys(shapes))


def rows_of(batch: TrainBatch) -> RowShape:
    """The shape of a packed batch."""
    (m, b, p), (r, c), j = batch.prompt_ids.shape, batch.mask.shape[2:], batch.line_tokens.shape[2]
    return RowShape(m, b, r, p, c, j)


def batch_shapes(rows: RowShape, sharding: Sharding, *, with_tags: bool) -> TrainBatch:
    """`jax.ShapeDtypeStruct` in the place of each array of a batch that is on the mesh.

    Args:
        rows: Its shape.
        sharding: Of every array.
        with_tags: Whether the model has a reasoning vocabulary.
    """
    m, b, r, p, c, j = rows

    def array(dtype: Any, *shape: int) -> Any:
        return jax.ShapeDtypeStruct((m, b, *shape), dtype, sharding=sharding)

    return TrainBatch(
        prompt_ids=array(jnp.int32, p),
        prompt_lengths=array(jnp.int32),
        response_ids=array(jnp.int32, r, c),
        mask=array(jnp.bool_, r, c),
        weights=array(jnp.float32, r, c),
        advantages=array(jnp.float32, r, c),
        temperature=array(jnp.float32),
        sampler_logprobs=array(jnp.float32, r, c),
        behaviour_logprobs=array(jnp.float32, r, c),
        domain=array(jnp.int32),
        replayed=array(jnp.bool_),
        line_tokens=array(jnp.int32, j, c),
        places=array(jnp.int32, r, c),
        inside=array(jnp.bool_, r, c) if with_tags else None,
    )
