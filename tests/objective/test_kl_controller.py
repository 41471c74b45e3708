# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The adaptive KL coefficient by hand."""

import pytest

from grpo_jax.objective.kl_controller import KlController


def test_factor_moves_with_the_clipped_relative_error():
    controller = KlController(target=0.1, horizon=10)
    controller.observe(0.11)
    assert controller.factor == pytest.approx(1 + 0.1 / 10)
    controller.observe(5.0)
    assert controller.factor == pytest.approx(1.01 * 1.02)
    controller.observe(0.0)
    assert controller.factor == pytest.approx(1.01 * 1.02 * 0.98)


def test_without_a_target_nothing_moves():
    controller = KlController(None, 10)
    controller.observe(5.0)
    assert controller.factor == 1.0
