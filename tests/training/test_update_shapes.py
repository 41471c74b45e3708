# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes that are told beforehand are those of batches that are packed afterwards."""

import jax
import pytest
from jax.sharding import SingleDeviceSharding

from grpo_jax.config import DataConfig, Domain, RunConfig, SamplingConfig, TrainingConfig
from grpo_jax.objective.presets import resolve
from grpo_jax.replay_config import ReplayConfig
from grpo_jax.rollout.group_filter import judge
from grpo_jax.rollout.packing import RowShape, make_plan
from grpo_jax.training.minibatches import Minibatches
from grpo_jax.training.update_shapes import batch_shapes, next_rows, rows_of
from tests.fakes.groups import make_group


def make_config(**changes):
    sections = {
        "domains": {"plain": Domain()},
        "data": DataConfig(prompts_per_step=5, max_prompt_tokens=70),
        "sampling": SamplingConfig(group_size=4, max_completion_tokens=40),
        "training": TrainingConfig(minibatches=2, microbatch_tokens=600),
    }
    return RunConfig(**{**sections, **changes})


def plan_of(config, **changes):
    settings = {"row_multiple": 1, "aggregation": "token_mean", "pad_id": 0} | changes
    return make_plan(
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_completion_tokens=config.sampling.max_completion_tokens,
        microbatch_tokens=config.training.microbatch_tokens,
        **settings,
    )


def pack(config, plan, prompt_tokens, completion_tokens):
    groups = [
        make_group([1] * prompt_tokens, [[2] * completion_tokens] * 4, [0.0, 1.0, 0.0, 1.0])
        for _ in range(config.data.prompts_per_step)
    ]
    judged = judge(groups, config, resolve(config.objective, config.domains))
    return Minibatches(config, plan, groups).pack(judged)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": TrainingConfig(minibatches=1, microbatch_tokens=100)},
        {"replay": ReplayConfig(groups_per_step=3, max_solve_rate=0.75)},
    ],
    ids=["minibatches_of_two_sizes", "rows_that_hold_one_completion", "replay"],
)
@pytest.mark.parametrize("row_multiple", [1, 4])
def test_a_step_of_full_completions_has_the_shapes_told(changes, row_multiple):
    config = make_config(**changes)
    plan = plan_of(config, row_multiple=row_multiple)
    batches = pack(config, plan, prompt_tokens=33, completion_tokens=40)
    told = next_rows(config, plan, longest_prompt=33)
    assert set(map(rows_of, batches)) == set(told)
    here = SingleDeviceSharding(jax.devices()[0])
    for batch in batches:
        shapes = batch_shapes(rows_of(batch), here, with_tags=False)
        assert jax.tree.structure(batch) == jax.tree.structure(shapes)
        for array, shape in zip(jax.tree.leaves(batch), jax.tree.leaves(shapes), strict=True):
            assert (array.shape, array.dtype) == (shape.shape, shape.dtype)


def test_the_last_steps_shapes_come_next_where_the_mesh_can_hold_them():
    config, last = make_config(), (RowShape(2, 3, 4, 64, 40, 2),)
    assert next_rows(config, plan_of(config), 33, last) == last
    wider = plan_of(config, row_multiple=2)
    assert next_rows(config, wider, 33, last) == next_rows(config, wider, 33)
