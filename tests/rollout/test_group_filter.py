# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Who is learned from when checkers fail."""

import numpy as np
import pytest

from grpo_jax.config import Domain, ObjectiveConfig, RewardsConfig, RunConfig, SamplingConfig
from grpo_jax.objective.presets import resolve
from grpo_jax.rollout import group_filter
from tests.fakes.byte_tokenizer import STOP_ID
from tests.fakes.groups import make_group


def judge(groups, advantage, on_invalid="mask", penalties=None, domains=None, **objective):
    config = RunConfig(
        domains=domains or {"plain": Domain()},
        sampling=SamplingConfig(max_completion_tokens=10),
        rewards=RewardsConfig(on_invalid=on_invalid),
        objective=ObjectiveConfig(advantage=advantage, **objective),
    )
    return group_filter.judge(groups, config, resolve(config.objective, config.domains), penalties)


def groups_of(*totals):
    return [make_group([1], [[2]] * len(row), row) for row in totals]


def test_an_invalid_completion_is_left_out_of_its_groups_mean():
    judged = judge(groups_of([1.0, 0.0, None, 0.5]), "group_mean", "mask")
    np.testing.assert_array_equal(judged.trained, [[True, True, False, True]])
    np.testing.assert_allclose(judged.advantages, [[0.5, -0.5, 0.0, 0.0]])


def test_an_invalid_completion_takes_its_group_along_where_asked():
    judged = judge(groups_of([1.0, 0.0, None], [1.0, 0.0, 0.0]), "group_mean", "drop_group")
    np.testing.assert_array_equal(judged.trained, [[False] * 3, [True] * 3])
    np.testing.assert_allclose(judged.advantages, [[0, 0, 0], [2 / 3, -1 / 3, -1 / 3]], rtol=1e-6)


def test_a_group_with_one_valid_member_has_nothing_to_compare():
    judged = judge(groups_of([1.0, None, None], [0.0, 1.0, 1.0]), "group_mean", "mask")
    np.testing.assert_array_equal(judged.trained, [[False] * 3, [True] * 3])
    assert not judged.advantages[0].any()
    np.testing.assert_array_equal(judged.zero_variance, [False, False])


def test_equal_rewards_stay_in_the_update_with_no_advantage():
    judged = judge(groups_of([0.3, 0.3, 0.3], [0.3, 0.3, None]), "group_std", "mask")
    np.testing.assert_array_equal(judged.trained, [[True] * 3, [True, True, False]])
    np.testing.assert_array_equal(judged.zero_variance, [True, True])
    assert not judged.advantages.any()


@pytest.mark.parametrize("on_invalid", ["mask", "drop_group"])
def test_a_step_whose_checkers_all_failed_stops_the_run_with_the_reason(on_invalid):
    with pytest.raises(RuntimeError, match=r"every completion .* invalid.*the checker is out of order"):
        judge(groups_of([None, None], [None, None]), "group_std", on_invalid)


def test_truncated_completions_count_in_the_group_but_not_in_the_loss():
    # make_group's completions end by themselves where they hold the stop id.
    groups = [make_group([1], [[2, STOP_ID], [3, 4], [5, STOP_ID]], [1.0, 0.0, 0.5])]
    judged = judge(groups, "group_mean", mask_truncated=True)
    np.testing.assert_array_equal(judged.trained, [[True, False, True]])
    np.testing.assert_allclose(judged.advantages, [[0.5, -0.5, 0.0]])


def test_overlong_completions_are_punished_after_variance_was_judged():
    groups = [make_group([1], [[2] * 6, [2] * 8, [2] * 10], [1.0, 1.0, 1.0])]
    judged = judge(groups, "group_mean", overlong_buffer_tokens=4, overlong_penalty=2.0)
    np.testing.assert_allclose(judged.rewards, [[1.0, 0.0, -1.0]])
    np.testing.assert_array_equal(judged.zero_variance, [True])


def test_penalties_are_taken_from_rewards():
    groups = [make_group([1], [[2, 3], [4]], [1.0, 1.5])]
    penalties = np.array([[[0.1, 0.2], [0.5, 0.0]]])
    judged = judge(groups, "group_mean", penalties=penalties)
    np.testing.assert_allclose(judged.rewards, [[0.7, 1.0]])
    np.testing.assert_allclose(judged.advantages, [[-0.15, 0.15]], rtol=1e-6)


def test_a_domains_scale_multiplies_its_advantages():
    groups = [make_group([1], [[2], [3]], [1.0, 0.0], domain=name) for name in ("plain", "strange")]
    domains = {"plain": Domain(), "strange": Domain(advantage_scale=3.0)}
    judged = judge(groups, "group_mean", domains=domains)
    np.testing.assert_allclose(judged.advantages, [[0.5, -0.5], [1.5, -1.5]])


def test_whitened_advantages_differ_by_token_where_penalties_do():
    groups = [make_group([1], [[2, 3], [4]], [1.0, 0.0])]
    plain = judge(groups, "whitened")
    values = np.array([1.0, 1.0, 0.0])
    expected = (values - values.mean()) / values.std(ddof=1)
    np.testing.assert_allclose(plain.token_advantages, [[expected[:2], [expected[2], 0]]], rtol=1e-5)
    np.testing.assert_allclose(plain.advantages, [[expected[0], expected[2]]], rtol=1e-5)
    penalised = judge(groups, "whitened", penalties=np.array([[[0.0, 0.4], [0.0, 0.0]]]))
    # Both tokens of the first completion carry the penalty to come.
    assert penalised.token_advantages[0, 0, 0] == penalised.token_advantages[0, 0, 1]
    earlier = judge(groups, "whitened", penalties=np.array([[[0.4, 0.0], [0.0, 0.0]]]))
    assert earlier.token_advantages[0, 0, 0] < earlier.token_advantages[0, 0, 1]


def test_parts_are_weighed_as_they_were_when_they_were_scored():
    groups = groups_of([1.0, 0.0])
    config = RunConfig(
        domains={"plain": Domain(rewards={"judge": 1.0})}, objective=ObjectiveConfig(advantage="part_std")
    )
    objective = resolve(config.objective, config.domains)
    now = {"plain": Domain(rewards={"judge": -2.0})}  # a total of standardised parts is standardised again
    full = group_filter.judge(groups, config, objective).advantages
    assert full[0, 0] > 0
    np.testing.assert_allclose(group_filter.judge(groups, config, objective, domains=now).advantages, -full, rtol=1e-3)
