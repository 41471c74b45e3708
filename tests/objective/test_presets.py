# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Names resolve to their definitions; explicit parts win."""

import pytest

from grpo_jax.config import ObjectiveConfig
from grpo_jax.objective.presets import resolve
from grpo_jax.records import ConfigError


@pytest.mark.parametrize(
    ("name", "advantage", "aggregation"),
    [("grpo", "group_std", "row_mean"), ("dr_grpo", "group_mean", "row_sum_constant")],
)
def test_name_fills_the_parts_left_open(name, advantage, aggregation):
    resolved = resolve(ObjectiveConfig(name=name, clip_high=0.28, kl_coefficient=0.04))
    assert (resolved.advantage, resolved.aggregation) == (advantage, aggregation)
    assert (resolved.clip_low, resolved.clip_high, resolved.kl_coefficient) == (0.2, 0.28, 0.04)
    assert hash(resolved) == hash(resolve(ObjectiveConfig(name=name, clip_high=0.28, kl_coefficient=0.04)))


def test_explicit_part_wins_over_the_name():
    resolved = resolve(ObjectiveConfig(name="grpo", aggregation="token_mean", advantage="leave_one_out"))
    assert (resolved.advantage, resolved.aggregation) == ("leave_one_out", "token_mean")


@pytest.mark.parametrize(
    ("field", "value"), [("name", "gspo"), ("clip_low", 1.5), ("clip_high", -0.1), ("kl_coefficient", -1.0)]
)
def test_bad_value_is_named(field, value):
    with pytest.raises(ConfigError, match=f"objective.{field}={value}"):
        resolve(ObjectiveConfig(**{field: value}))
