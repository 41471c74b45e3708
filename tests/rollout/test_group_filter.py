# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Who is learned from when checkers fail."""

import numpy as np
import pytest

from grpo_jax.rollout.group_filter import judge
from tests.fakes.groups import make_group


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
