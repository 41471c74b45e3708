# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Drops since the best, and the matrix of three domains worked by hand."""

import json

import numpy as np
import pytest

from grpo_jax.evaluation.forgetting import BestSoFar, matrix_as_rows, transfer

START = [0.10, 0.20, 0.30]
SCORES = [
    [0.60, 0.25, 0.30],  # after math
    [0.50, 0.70, 0.20],  # after code
    [0.40, 0.75, 0.80],  # after logic
]


def test_three_domains_by_hand():
    found = transfer(np.array(SCORES), np.array(START))
    # math fell from its best 0.60 to 0.40; code rose to 0.75 after its best earlier 0.70.
    assert found.average_forgetting == pytest.approx(((0.60 - 0.40) + (0.70 - 0.75)) / 2)
    assert found.backward_transfer == pytest.approx(((0.40 - 0.60) + (0.75 - 0.70)) / 2)
    # Before its own stage code stood at 0.25 (0.20 at the start), logic at 0.20 (0.30).
    assert found.forward_transfer == pytest.approx(((0.25 - 0.20) + (0.20 - 0.30)) / 2)
    assert found.final_mean == pytest.approx((0.40 + 0.75 + 0.80) / 3)


def test_one_domain_forgets_nothing():
    found = transfer(np.array([[0.5]]), np.array([0.1]))
    assert (found.average_forgetting, found.backward_transfer, found.forward_transfer) == (0.0, 0.0, 0.0)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="not \\[T, T\\]"):
        transfer(np.zeros((2, 3)), np.zeros(3))


def test_the_matrix_file_is_json_of_everything():
    found = json.loads(json.dumps(matrix_as_rows(["math", "code", "logic"], np.array(SCORES), np.array(START))))
    assert found["scores"] == SCORES
    assert found["domains"] == ["math", "code", "logic"]
    assert found["backward_transfer"] == pytest.approx(-0.075)


def evaluation(**scores):
    return {f"eval/{domain}/pass@1": score for domain, score in scores.items()} | {"eval/math/pass@4": 0.9}


def test_the_drop_is_measured_from_the_best_so_far():
    best = BestSoFar()
    assert best.observe(evaluation(math=0.4, logic=0.5))["forgetting/mean"] == 0.0
    assert best.observe(evaluation(math=0.6, logic=0.3))["forgetting/logic"] == pytest.approx(0.2)
    found = best.observe(evaluation(math=0.5, logic=0.4))
    assert found == pytest.approx(
        {
            "forgetting/math": 0.1,
            "forgetting/logic": 0.1,
            "forgetting/math/best": 0.6,
            "forgetting/logic/best": 0.5,
            "forgetting/mean": 0.1,
        }
    )


def test_the_best_survives_a_checkpoint():
    best, again = BestSoFar(), BestSoFar()
    best.observe(evaluation(math=0.4))
    again.restore(json.loads(json.dumps(best.state())))
    assert again.observe(evaluation(math=0.1)) == best.observe(evaluation(math=0.1))


def test_an_evaluation_without_scores_says_nothing():
    assert BestSoFar().observe({"reward/mean": 1.0}) == {}
